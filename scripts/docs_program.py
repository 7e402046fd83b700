"""The programs that pages run, as children of one process that has everything imported, for `run_docs.py`.

Pages run a hundred commands, and importing torch and the rest takes seconds each time. ``serving(folder)`` starts the
process, and writes programs into three folders, one of which is to stand first in PATH: ``run`` has ``ood-bench`` and
``python``, ``small`` an ``ood-bench`` with small images and networks (`docs_small.py`), ``check`` what takes the place
of programs in blocks that cannot be run (`docs_check.py`). A program sends its words, its folder, its environment and
its three streams over a socket, and ends as the child does.
"""

import contextlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import docs_check

if TYPE_CHECKING:
    from docs_small import Small

PROGRAMS = {"run": ("ood-bench", "python"), "small": ("ood-bench",), "check": docs_check.PROGRAMS}
_CLIENT = """#!{python} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as to:
    to.connect({address!r})
    words = json.dumps([{kind!r}, {name!r}, os.getcwd(), dict(os.environ), sys.argv[1:]]).encode()
    socket.send_fds(to, [len(words).to_bytes(4, "big")], [0, 1, 2])
    to.sendall(words)
    sys.exit(int(to.recv(16) or 1))
"""


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[None]:
    """Runs the process as long as the block does.

    Args:
        folder: where the programs are written.
    """
    address = folder / "socket"
    for kind, names in PROGRAMS.items():
        (folder / kind).mkdir()
        for name in names:
            program, words = folder / kind / name, {"python": sys.executable, "address": str(address)}
            program.write_text(_CLIENT.format(kind=kind, name=name, **words), encoding="utf-8")
            program.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(address))
        listening.listen(64)
        command = [sys.executable, __file__, str(listening.fileno()), str(folder / "images")]
        with subprocess.Popen(command, pass_fds=[listening.fileno()], env=_environment()) as process:  # noqa: S603
            try:
                yield
            finally:
                process.terminate()


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}


def _serve(listening: socket.socket, images: Path) -> None:
    """Forks a child for each program that calls, until it is ended."""
    _import_everything()
    from docs_small import Small  # noqa: PLC0415 - it imports torch

    small = Small(images)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    while True:
        calling, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            status = _answer(calling, small)
            sys.stdout.flush()
            sys.stderr.flush()
            calling.sendall(str(status).encode())
            os._exit(status)
        calling.close()


def _import_everything() -> None:
    import sklearn.datasets  # noqa: F401, PLC0415
    from torch import _dynamo  # noqa: F401, PLC0415 - optimizers import it at their first use

    import ood_bench.cli.job  # noqa: PLC0415
    import ood_bench.explain.commands  # noqa: PLC0415
    import ood_bench.report.tables  # noqa: PLC0415
    import ood_bench.runner.execute  # noqa: PLC0415
    import ood_bench.sweep.hydra  # noqa: F401, PLC0415
    from ood_bench.papers.block import load_blocks  # noqa: PLC0415

    load_blocks()


def _answer(calling: socket.socket, small: "Small") -> int:
    """Runs one program in this child; gives its exit status."""
    size, streams, _, _ = socket.recv_fds(calling, 4, 3)
    with calling.makefile("rb") as words:
        kind, name, folder, environment, given = json.loads(words.read(int.from_bytes(size, "big")))
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    _, os.environ["PATH"] = environment["PATH"].split(os.pathsep, 1)  # the programs that these stand for
    try:
        if kind == "small":
            return small.run(given)
        return docs_check.check(name, given) if kind == "check" else _program(name, given)
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        sys.stderr.write(f"{stop.code}\n")
        return 1
    except BaseException:
        traceback.print_exc()
        return 1


def _program(name: str, words: list[str]) -> int:
    sys.path[0] = os.getcwd() if name == "python" else ""
    if name == "ood-bench":
        from ood_bench.cli.main import main  # noqa: PLC0415

        sys.argv = [name, *words]
        return main()
    if words[:1] == ["-c"]:
        exec(compile(words[1], "<the page>", "exec"), {"__name__": "__main__"})  # noqa: S102 - our own pages
        return 0
    if words[0].endswith(".py"):
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")
        return 0
    return subprocess.call([sys.executable, *words])  # noqa: S603 - our own pages


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]))
