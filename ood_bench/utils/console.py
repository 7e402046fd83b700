"""How every command ends: one message for what the user can fix, and an exit status."""

import argparse
import functools
import logging
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

from ood_bench.errors import ConfigError, OodBenchError
from ood_bench.utils.printable import printable
from ood_bench.utils.time_limit import OUT_OF_TIME, OutOfTime

REFUSED, INTERRUPTED = 2, 130
P = ParamSpec("P")


def show_error(error: OodBenchError) -> int:
    """Shows what is wrong and what to do on standard error; gives the exit status."""
    from rich.text import Text  # noqa: PLC0415 - rare, and slow to import

    from ood_bench.utils.progress import console  # noqa: PLC0415

    text = Text.assemble(("error: ", "bold red"), printable(error.message))
    if error.hint:
        text.append_text(Text.assemble(("\nhint: ", "bold cyan"), printable(error.hint)))
    console.print(text, soft_wrap=True)
    return OUT_OF_TIME if isinstance(error, OutOfTime) else REFUSED


class _Escaping(logging.Formatter):
    """Log lines that are safe for a terminal, whatever was written into a file or sent by a server."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def plain_log(level: int = logging.INFO) -> None:
    """Sends the log to standard error as plain lines, for commands that draw no bars."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Escaping("%(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


def existing(option: str, folder: Path) -> Path:
    """The folder that an option of a command names.

    Raises:
        ConfigError: if there is none.
    """
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}", f"name another one by {option} DIR")
    return folder


def not_negative(text: str) -> float:
    """An option's number: finite, and 0 or more.

    Raises:
        argparse.ArgumentTypeError: if it is none, which argparse shows with the option's name.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return value


def one_message(main: Callable[P, int]) -> Callable[P, int]:
    """Makes a command's ``main`` show an :class:`OodBenchError` as one message, and end with its status."""

    @functools.wraps(main)
    def wrapped(*arguments: P.args, **options: P.kwargs) -> int:
        try:
            return main(*arguments, **options)
        except OodBenchError as error:
            return show_error(error)
        except KeyboardInterrupt:
            sys.stderr.write("interrupted: what was written is whole, and the same command does the rest\n")
            return INTERRUPTED

    return wrapped
