"""A sweep's worker processes end with the process that started them, however that one ends."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator

_SWEEP = "OOD_BENCH_SWEEP"
_LOOK = 1.0
"""Seconds between two looks at whether the sweep's process is there."""
_GRACE = 10.0
"""Seconds that a job has to say that it was interrupted and to give its locks back."""
_busy = threading.Event()
_watching = threading.Lock()


@contextlib.contextmanager
def workers_end_with_me() -> Iterator[None]:
    """Tells the processes that are started in the block whose workers they are."""
    before = os.environ.get(_SWEEP)
    os.environ[_SWEEP] = str(os.getpid())
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SWEEP]
        else:
            os.environ[_SWEEP] = before


@contextlib.contextmanager
def ending_with_the_sweep() -> Iterator[None]:
    """Runs a job of a sweep: if it is in a worker process, the process ends once the sweep's process is gone.

    The kernel could tell it (``PR_SET_PDEATHSIG``), but at the end of the thread that started the worker, not of the
    process. A worker between two jobs ends, too. The loky semaphores of a killed sweep go with its last worker.
    """
    parent = os.getppid()
    if os.environ.get(_SWEEP) == str(parent) and _watching.acquire(blocking=False):
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # where a script starts a sweep in the background
        if ignored and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    _busy.set()
    try:
        yield
    finally:
        _busy.clear()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK)
    if _busy.is_set():
        os.kill(os.getpid(), signal.SIGINT)
    end = time.monotonic() + _GRACE
    while _busy.is_set() and time.monotonic() < end:
        time.sleep(0.05)
    os._exit(1)
