"""The nearest known word to one that is not known."""

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The part of a message that names the known word nearest to ``word``.

    Returns:
        ``" (did you mean odin?)"``, or nothing if no known word resembles it.
    """
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
