"""Text from files, safe for a terminal."""

import unicodedata


def printable(text: str, keep: str = "") -> str:
    r"""Text in which every character that a terminal would obey, not show, is written as its escape: ``\x1b``.

    Args:
        text: what somebody else may have written.
        keep: characters that stay, such as a newline.
    """
    return "".join(letter if _shown(letter) or letter in keep else ascii(letter)[1:-1] for letter in text)


def _shown(letter: str) -> bool:
    return letter.isprintable() or unicodedata.category(letter) == "Zs"
