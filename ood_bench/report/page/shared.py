"""Values that many rows repeat: each is kept once on the page, and referred to by its number."""

import json
from typing import Any


class Shared:
    """A growing list of JSON-able values without repetition.

    Attributes:
        values: the values by number.
    """

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._places: dict[str, int] = {}

    def place(self, value: Any) -> int:
        """The number of a value, which is new if it was not there."""
        number = self._places.setdefault(json.dumps(value), len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number
