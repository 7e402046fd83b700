"""The nearest known word to one that is not known."""

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The part of a message that names the known word nearest to ``word``.

    Returns:
        ``" (did you mean odin?)"``, or nothing if no known word resembles it.
    """
    near = nearest(word, known)
    return f" (did you mean {near}?)" if near else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that is nearest to ``word``, or nothing if none resembles it.

    Of a dotted key the last part alone is compared, with the keys that stand beside it.
    """
    parent, dot, last = word.rpartition(".")
    beside = [one.removeprefix(parent + dot) for one in sorted(known) if one.rpartition(".")[0] == parent]
    longer = [one for one in beside if len(last) > 2 and one.startswith(last)]  # a beginning says more than letters
    near = longer or difflib.get_close_matches(last, beside, n=1)
    return f"{parent}{dot}{near[0]}" if near else ""
