"""Runs ood-bench in forked children of a process that has everything imported (fixture ``forked``).

Reads a line for each run, JSON ``[folder, seconds until a kill or null, words...]``. Answers with the child's process,
then with its exit status (below zero after a signal) and seconds. What the child says is in ``said`` in its folder.
"""

import json
import os
import signal
import sys
import time

# Children inherit what is imported here; the optimizers import torch._dynamo at their first use.
import sklearn.datasets as _datasets  # noqa: F401
from torch import _dynamo  # noqa: F401

from ood_bench.cli import job as _job  # noqa: F401
from ood_bench.cli.main import main
from ood_bench.papers.block import load_blocks
from ood_bench.report import terminal as _terminal  # noqa: F401
from ood_bench.runner import execute as _execute  # noqa: F401
from ood_bench.scoring import banks
from ood_bench.sweep import heartbeat as _heartbeat  # noqa: F401
from ood_bench.sweep import hydra as _hydra  # noqa: F401


def run(folder: str, words: list[str]) -> int:
    """What a child does instead of going on here."""
    os.chdir(folder)
    said = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1), os.dup2(said, 2)
    sys.argv = ["ood-bench", *words]
    return main()


def serve() -> None:
    """Answers until its input ends. What is read and kept here, children need not read."""
    banks._EVERY = 0.0  # half-done passes are saved after every batch, not once a minute
    load_blocks()
    for line in sys.stdin:
        folder, delay, *words = json.loads(line)
        start = time.monotonic()
        if (child := os.fork()) == 0:
            status = 99
            try:
                status = run(folder, words)
            except SystemExit as stop:
                status = int(stop.code or 0)
            finally:
                os._exit(status)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        if delay is not None:
            time.sleep(delay)
            os.kill(child, signal.SIGKILL)  # a child that has ended waits to be asked for its status
        _, code = os.waitpid(child, 0)
        sys.stdout.write(json.dumps([os.waitstatus_to_exitcode(code), time.monotonic() - start]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
