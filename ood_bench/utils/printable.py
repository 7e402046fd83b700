"""Text that came from outside, made safe to show on a terminal."""


def printable(text: str) -> str:
    r"""``text`` with everything that could steer a terminal, or that cannot be written, as an escape such as ``\x1b``.

    File names, answers of servers and texts of other people's files go through here before they are shown. Line breaks
    stay. Bytes of a file name that is not UTF-8 are shown as bytes.
    """
    return "".join(letter if letter.isprintable() or letter == "\n" else _escape(letter) for letter in text)


def _escape(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # how Python holds a byte that is not UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")
