"""The front door: tells commands, runs, and questions for help apart."""

import importlib
import os
import sys
from collections.abc import Iterator, Sequence

import ood_bench
from ood_bench.cli.help import COMMANDS, GROUPS, explain, overview
from ood_bench.errors import ConfigError
from ood_bench.utils.configs import options
from ood_bench.utils.console import one_message
from ood_bench.utils.suggest import did_you_mean

# Before torch is imported: threads that wait for each other by spinning take four times as long where other programs
# use the same cores; short spells of it cost next to nothing.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

_FLAGS_WITH_A_VALUE = (
    "-c", "--cfg", "-p", "--package", "-i", "--info", "-cd", "--config-dir", "-cn", "--config-name",
    "-cp", "--config-path", "--experimental-rerun",
)  # fmt: skip


def main(words: Sequence[str] | None = None) -> int:
    """Runs the program; exit status 0 if all went well, 1 if something is wrong, 2 for what the user has to fix."""
    try:
        status = _dispatch(sys.argv[1:] if words is None else list(words))
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has enough, as in `ood-bench --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


@one_message
def _dispatch(words: list[str]) -> int:
    stray = list(_neither_flag_nor_override(words))
    if words and words[0] in COMMANDS:
        command = importlib.import_module(COMMANDS[words[0]].module)
        return int(command.main(words[1:]))
    if "--version" in words:
        sys.stdout.write(f"ood-bench {ood_bench.__version__}\n")
        return 0
    if "--help" in words or "-h" in words:
        if stray and stray[0] in COMMANDS:
            return _dispatch([stray[0], "--help"])
        if stray and stray[0] not in GROUPS and (near := did_you_mean(stray[0], COMMANDS)):
            raise ConfigError(f"there is no command {stray[0]!r}{near}", "ood-bench --help lists all")
        sys.stdout.write(explain(stray[0]) if stray else overview())
        return 0
    if stray:
        raise _unknown(stray[0])
    from ood_bench.cli.job import run  # noqa: PLC0415 - Hydra takes longer to import than help to show

    return run(words)


def _neither_flag_nor_override(words: Sequence[str]) -> Iterator[str]:
    for before, word in zip(["", *words], words, strict=False):
        if "=" not in word and not word.startswith(("-", "~")) and before not in _FLAGS_WITH_A_VALUE:
            yield word


def _unknown(word: str) -> ConfigError:
    """The error for a word that is no command: the nearest one, or the group that has an option of this name."""
    chosen = [f"{group}={word}" for group in GROUPS if word in options(group)]
    if chosen:
        return ConfigError(f"{word!r} is no command", f"write {' or '.join(chosen)}")
    if word in GROUPS:
        return ConfigError(
            f"{word!r} is no command", f"to choose, write {word}=NAME; ood-bench list {word} shows names"
        )
    near = did_you_mean(word, [*COMMANDS, *GROUPS])
    return ConfigError(f"{word!r} is neither a command nor of the form key=value{near}", "ood-bench --help lists both")
