"""What the words of a command line are: Hydra's flags with their values, or overrides."""

from collections.abc import Sequence

_WITH_A_VALUE = (
    "-c", "--cfg", "-p", "--package", "-cd", "--config-dir", "-cn", "--config-name", "-cp", "--config-path",
    "--experimental-rerun",
)  # fmt: skip
_WITH_A_VALUE_OR_NONE = ("-i", "--info")
_LONG_FLAGS = (
    *(word for word in (*_WITH_A_VALUE, *_WITH_A_VALUE_OR_NONE) if word.startswith("--")),
    "--help", "--hydra-help", "--multirun", "--resolve", "--run", "--shell-completion", "--version",
)  # fmt: skip


def is_flag(words: Sequence[str]) -> list[bool]:
    """Whether each word is a flag, or the value of the flag before it."""
    return [
        word.startswith("-")
        or before in _WITH_A_VALUE
        or (before in _WITH_A_VALUE_OR_NONE and "=" not in word and not word.startswith("~"))
        for before, word in zip(["", *words], words, strict=False)
    ]


def dashed_setting(words: Sequence[str]) -> tuple[str, str] | None:
    """The first word that has a flag's dashes but is no flag of Hydra's, and how it is written as a setting."""
    for word, after in zip(words, [*words[1:], ""], strict=False):
        key, equals, value = word.partition("=")
        if word.startswith("--") and not any(flag.startswith(key) for flag in _LONG_FLAGS):
            return word, f"{key.removeprefix('--')}={value if equals else after or 'VALUE'}"
    return None
