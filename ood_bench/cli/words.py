"""What the words of a command line are: Hydra's flags with their values, or overrides."""

from collections.abc import Sequence

_WITH_A_VALUE = (
    "-c", "--cfg", "-p", "--package", "-cd", "--config-dir", "-cn", "--config-name", "-cp", "--config-path",
    "--experimental-rerun",
)  # fmt: skip
_WITH_A_VALUE_OR_NONE = ("-i", "--info")


def is_flag(words: Sequence[str]) -> list[bool]:
    """Whether each word is a flag, or the value of the flag before it."""
    return [
        word.startswith("-")
        or before in _WITH_A_VALUE
        or (before in _WITH_A_VALUE_OR_NONE and "=" not in word and not word.startswith("~"))
        for before, word in zip(["", *words], words, strict=False)
    ]
