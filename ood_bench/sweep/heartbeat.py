"""The heartbeat of a running job: a small file in the store that says what it is doing."""

import contextlib
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ood_bench.errors import ArtifactError, reason
from ood_bench.sweep.manifest import folder
from ood_bench.utils.files import canonical_json, write_atomically
from ood_bench.utils.progress import underway
from ood_bench.utils.time_limit import OutOfTime

_log = logging.getLogger(__name__)
BEAT = 2.0
"""Seconds between two heartbeats."""
SILENCE = 60.0
"""Seconds without a heartbeat after which a job counts as lost."""


def path_of(store: Path, key: str) -> Path:
    """File of one job's heartbeat."""
    return folder(store) / "jobs" / f"{key}.json"


def slurm_job() -> str:
    """This process's job as SLURM's commands take it, ``"123"`` or ``"123_4"`` in an array; empty outside of SLURM."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "")


def read(store: Path, key: str) -> dict[str, Any] | None:
    """The last heartbeat of a job, with its age in ``silent`` seconds; none if it never started."""
    path = path_of(store, key)
    try:
        beat: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {**beat, "silent": max(0.0, time.time() - path.stat().st_mtime)}
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def beating(store: Path, key: str, words: Sequence[str]) -> Iterator[None]:
    """Writes into the store, as long as the block lasts, what the job is doing, and at last how it ended.

    A store that does not exist is not created for this: a run that is refused leaves nothing behind.

    Args:
        store: the artifact store.
        key: the job's key, see :func:`ood_bench.sweep.plan.job_key`.
        words: its overrides.
    """
    job = {
        "words": list(words),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "slurm": slurm_job(),
        "began": time.time(),
    }
    path, stop = path_of(store, key), threading.Event()

    def write(state: str, error: str = "") -> None:
        if not store.exists():
            return
        ticker = underway()
        content = {**job, "state": state, "error": error, "work": None if ticker is None else ticker.report()}
        with contextlib.suppress(ArtifactError):  # a job goes on although nobody can see it
            write_atomically(path, canonical_json(content).encode(), durable=False)

    def beat() -> None:
        while not stop.wait(BEAT):
            write("running")

    write("running")
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    end = ("done", "")
    try:
        yield
    except BaseException as error:
        failed = isinstance(error, Exception) and not isinstance(error, OutOfTime)
        end = ("failed", reason(error)) if failed else ("interrupted", "")
        raise
    finally:
        stop.set()
        thread.join()
        write(*end)
