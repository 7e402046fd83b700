"""Takes the place of programs in blocks that cannot be run here: refuses words that the program itself would refuse.

- ``ood-bench KEY=VALUE ...`` is composed as for a run, each job of a sweep, and its methods and protocol are made.
- ``ood-bench COMMAND ...`` and ``python -m benchmarks...`` are read by their own parsers.
- ``make`` says what it would do; a script of ours must exist and know the word.
- Of anything else, such as pip, nothing is checked.
"""

import argparse
import importlib
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ("ood-bench", "make", "pip", "python", "python3", "python3.11", "script")
BEFORE = """\
source() { :; }
scripts/one_node_slurm.sh() { script scripts/one_node_slurm.sh "$@"; }
oodeel-env/bin/pip() { pip "$@"; }
"""
"""Stands before a block: what bash would not look for in PATH."""
_IN_NO_LOCK = "hydra/launcher=ray"  # make test-ray runs it


class _ParsedError(Exception):
    """A parser took all words."""


def check(program: str, words: Sequence[str]) -> int:
    """Says what is wrong with a command, as its program does; gives the exit status."""
    if program == "ood-bench":
        return _ood_bench(words)
    if program.startswith("python") and words[:1] == ["-m"] and words[1].startswith("benchmarks"):
        return _read_by(words[1], words[2:])
    if program == "make":
        return _make(words)
    if program == "script":
        path, *rest = words
        return 0 if all(f"{word})" in (ROOT / path).read_text().replace(" | ", ")") for word in rest) else 1
    return 0


def _ood_bench(words: Sequence[str]) -> int:
    from ood_bench.cli.help import COMMANDS  # noqa: PLC0415 - it takes seconds, and the process that forks has it
    from ood_bench.cli.main import main  # noqa: PLC0415
    from ood_bench.utils.configs import options  # noqa: PLC0415

    papers = [word.removeprefix("paper=") for word in words if word.startswith("paper=")]
    if words[0] in COMMANDS:
        return _read_by(COMMANDS[words[0]].module, words[1:]) or int(not set(papers) <= set(options("paper")))
    if _IN_NO_LOCK in words:
        words = [word for word in words if word != _IN_NO_LOCK and "hydra.launcher." not in word]
    sys.argv = ["ood-bench", *words]
    with (
        mock.patch("ood_bench.cli.job._job", _one),
        mock.patch("ood_bench.sweep.hydra.run_sweep", _each),
    ):
        return main()


def _one(config: Any) -> None:
    """What a run does with its configuration before it needs data."""
    from ood_bench.config import settings_of  # noqa: PLC0415

    _built(settings_of(config))


def _each(jobs: Sequence[Sequence[str]], compose: Callable[[Sequence[str]], Any], *_: Any) -> int:
    """The same of a sweep."""
    for words in jobs:
        _built(compose(words))
    return 0


def _built(settings: Any) -> None:
    from ood_bench.methods.base import build_detector  # noqa: PLC0415
    from ood_bench.protocols.base import build_protocol  # noqa: PLC0415

    build_protocol(settings.protocol, settings.tune.name)
    for name, node in settings.method.items():
        build_detector(name, node)


def _read_by(module: str, words: Sequence[str]) -> int:
    """Lets the parser of a module's ``main`` read words, which ends the process with status 2 if one is wrong."""
    read = argparse.ArgumentParser.parse_args

    def parse(*arguments: Any) -> None:
        read(*arguments)
        raise _ParsedError

    found = importlib.import_module(module if "." in module else f"{module}.__main__")
    with mock.patch.object(argparse.ArgumentParser, "parse_args", parse):
        try:
            found.main(list(words))
        except _ParsedError:
            return 0
    raise AssertionError(f"{module} has not parsed its words")


def _make(words: Sequence[str]) -> int:
    """Lets make say what it would run, and the benchmarks among it read their words."""
    done = subprocess.run(["make", "-n", "-C", str(ROOT), *words], stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603, S607
    for line in done.stdout.splitlines():
        words = shlex.split(line)
        if "-m" in words[1:2] and words[2].startswith("benchmarks"):
            _read_by(words[2], words[3:])
    return done.returncode
