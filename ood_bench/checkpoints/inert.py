"""What a pickle's names and objects become when nothing may be imported: text and records."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Name:
    """A class or function that a pickle names; nothing of that name is looked up.

    Attributes:
        module: the module's path.
        qualname: the name in it, possibly with dots.
    """

    module: str
    qualname: str

    @property
    def dotted(self) -> str:
        """Module and name in one."""
        return f"{self.module}.{self.qualname}"


@dataclass(eq=False)
class Inert:
    """An object of a class that is only known by name.

    Attributes:
        name: its class, or the function that would have made it.
        args: what that would have been called with.
        state: what would have become its attributes.
        items: what would have been appended to it, or pairs of what would have been set in it.
    """

    name: Name
    args: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)
