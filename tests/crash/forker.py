"""Runs ood-bench in forked children and kills them after a time, with one import for many runs (test_kills.py).

Reads a line for each run, JSON ``[seconds or null, words...]``; answers with ``[was killed, exit status, seconds]``.
"""

import json
import os
import signal
import sys
import time

from ood_bench.cli.main import main
from ood_bench.runner import execute as _everything  # noqa: F401 - children inherit what is imported here
from ood_bench.scoring import banks


def run(words: list[str]) -> int:
    """What a child does instead of going on here."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1), os.dup2(quiet, 2)
    sys.argv = ["ood-bench", *words]
    return main()


def serve() -> None:
    """Answers until its input ends."""
    banks._EVERY = 0.0  # half-done passes are saved after every batch, not once a minute
    for line in sys.stdin:
        delay, *words = json.loads(line)
        start = time.monotonic()
        if (child := os.fork()) == 0:
            status = 99
            try:
                status = run(words)
            finally:
                os._exit(status)
        if delay is not None:
            time.sleep(delay)
            os.kill(child, signal.SIGKILL)  # a child that has ended waits to be asked for its status
        _, code = os.waitpid(child, 0)
        answer = [os.WIFSIGNALED(code), os.waitstatus_to_exitcode(code), time.monotonic() - start]
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
