"""Text that came from outside, made safe to show: on a terminal, in a table of a spreadsheet."""

import unicodedata
from collections.abc import Iterable

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text: str, keep: str = "\n") -> str:
    r"""``text`` with everything that could steer a terminal, or that cannot be written, as an escape such as ``\x1b``.

    File names, answers of servers and texts of other people's files go through here before they are shown. Bytes of a
    file name that is not UTF-8 are shown as bytes.

    Args:
        text: what somebody else may have written.
        keep: characters that stay.
    """
    return "".join(letter if letter in keep or _shown(letter) else _escape(letter) for letter in text)


def listed(names: Iterable[str], most: int = 10) -> str:
    """The first names, and how many more there are: ``a, b and 3 more``."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def inert(text: str) -> str:
    """``text`` for a cell of a CSV file: with an apostrophe before what a spreadsheet would run as a formula."""
    if not text.startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def _shown(letter: str) -> bool:
    return letter.isprintable() or unicodedata.category(letter) == "Zs"


def _escape(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # how Python holds a byte that is not UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")
