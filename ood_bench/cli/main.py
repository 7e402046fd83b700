"""The front door: tells commands, runs, and questions for help apart."""

import errno
import importlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import ood_bench
from ood_bench.cli.help import COMMANDS, GROUPS, choices_of, explain, overview
from ood_bench.cli.interrupt import orderly_interrupt
from ood_bench.cli.words import dashed_setting, is_flag
from ood_bench.errors import ConfigError, OodBenchError
from ood_bench.utils.console import one_message, show_error
from ood_bench.utils.suggest import did_you_mean

# Before torch is imported: threads that wait for each other by spinning take four times as long where other programs
# use the same cores; short spells of it cost next to nothing.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)


def main(words: Sequence[str] | None = None) -> int:
    """Runs the program; exit status 0 if all went well, 1 if something is wrong, 2 for what the user has to fix."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, as in `ood-bench … >&-`
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for the whole process
    logging.raiseExceptions = False  # a log that cannot be written stops nothing
    try:
        with orderly_interrupt():
            status = _dispatch(sys.argv[1:] if words is None else list(words))
            sys.stdout.flush()
    except BrokenPipeError:  # the reader has enough, as in `ood-bench --help | head`
        _drop_output()
        return 1
    except OSError as error:
        if error.errno not in _UNWRITABLE or error.filename is not None:
            raise
        _drop_output()
        return show_error(
            OodBenchError(
                f"cannot write: {error.strerror}",
                "standard output or a disk is full, what was computed is kept: free some space or write elsewhere, and "
                "give the same command again",
            )
        )
    return status


def _drop_output() -> None:
    """Sends what Python has still to write to nowhere, so that it is not tried again at the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
    if dashed := dashed_setting(words):
        raise ConfigError(f"{dashed[0]!r} is no flag", f"settings have no dashes: write {dashed[1]}")
    if stray:
        raise _unknown(stray[0])
    if sys.stderr.isatty() and "--shell-completion" not in words:  # a word at once: Hydra takes a second to import
        sys.stderr.write(f"ood-bench {ood_bench.__version__}: reading the configuration\n")
    from ood_bench.cli.job import run  # noqa: PLC0415 - Hydra takes longer to import than help to show

    return run(words)


def _neither_flag_nor_override(words: Sequence[str]) -> Iterator[str]:
    for word, flag in zip(words, is_flag(words), strict=True):
        if not flag and "=" not in word and not word.startswith("~"):
            yield word


def _unknown(word: str) -> ConfigError:
    """The error for a word that is no command: the nearest one, or the group that has an option of this name."""
    if chosen := choices_of(word):
        return ConfigError(f"{word!r} is no command", f"write {chosen}")
    if word in GROUPS:
        return ConfigError(
            f"{word!r} is no command", f"to choose, write {word}=NAME; ood-bench list {word} shows names"
        )
    near = did_you_mean(word, [*COMMANDS, *GROUPS])
    return ConfigError(f"{word!r} is neither a command nor of the form key=value{near}", "ood-bench --help lists both")
