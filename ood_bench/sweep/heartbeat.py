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
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from ood_bench.errors import ArtifactError, reason
from ood_bench.sweep.manifest import folder
from ood_bench.utils.files import canonical_json, version, write_atomically
from ood_bench.utils.progress import underway
from ood_bench.utils.time_limit import OutOfTime

_log = logging.getLogger(__name__)
BEAT = 2.0
"""Seconds between two heartbeats."""
SILENCE = 60.0
"""Seconds without a heartbeat after which a job counts as lost."""
LOOK = 3 * BEAT
"""Seconds for which a heartbeat that seems older, or to come from the future, is watched before that."""


def path_of(store: Path, key: str) -> Path:
    """File of one job's heartbeat."""
    return folder(store) / "jobs" / f"{key}.json"


def slurm_job() -> str:
    """This process's job as SLURM's commands take it, ``"123"`` or ``"123_4"`` in an array; empty outside of SLURM."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "")


class Work(BaseModel):
    """The innermost work under way, see :meth:`ood_bench.utils.progress.Ticker.report`."""

    what: str
    note: str
    done: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    total: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Beat(BaseModel):
    """A heartbeat as its file has it.

    Attributes:
        host: the job's machine.
        pid: its process.
        slurm: its SLURM job, or nothing.
        state: ``running``, ``done``, ``failed`` or ``interrupted``.
        error: why it failed.
        work: what it is doing.
        silent: age of the file in seconds, the file server's clock against ours; below 0 where they do not agree.
        version: what changes with every heartbeat.
    """

    host: str
    pid: int
    slurm: str
    state: Literal["running", "done", "failed", "interrupted"]
    error: str
    work: Work | None
    silent: float
    version: str


def read(store: Path, key: str) -> Beat | None:
    """The last heartbeat of a job; none if it never started, or its file is damaged."""
    path = path_of(store, key)
    before = version(path)
    try:
        with path.open("rb") as file:
            content, silent = json.load(file), time.time() - os.fstat(file.fileno()).st_mtime
        return Beat.model_validate({**content, "silent": silent, "version": before})
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def has_changed(store: Path, key: str, before: str) -> bool:
    """Whether a job's file is there and of another version than before."""
    return version(path_of(store, key)) not in ("", before)


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
            text = canonical_json(content).encode(errors="backslashreplace")  # bytes of a path that are not UTF-8
            write_atomically(path, text, durable=False)

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
