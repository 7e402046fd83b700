"""Locks between processes and machines, as files with a heartbeat: a dead owner's lock is taken over."""

import contextlib
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import filelock

from ood_bench.utils.files import clear_io_errors, make_folder

_log = logging.getLogger(__name__)
HEARTBEAT = 10.0
"""Seconds between two heartbeats of an owner."""
LEASE = 90.0
"""Seconds without a heartbeat after which others take the lock over; NFS may hide a heartbeat for 60."""
STUCK = 120.0
"""Seconds without a change after which a lock file that cannot be taken over is removed."""
_FIRST_POLL, _POLL = 0.1, 1.0
"""Seconds between two tries: in the first second, because most locks are short, and later."""
_LOOK = 10.0
"""Seconds of waiting between two looks at whether the lock file is stuck."""
_FORGOTTEN = 3600.0
"""Age of a lock file in seconds, by the file server's clock, at which :func:`is_locked` takes its owner for dead."""


class BusyError(Exception):
    """Another process holds a lock."""


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Holds an exclusive lock on ``path``: the file ``<path>.lease``, which is gone when the lock is free.

    An owner on this machine is known to be dead at once; one on another machine counts as dead after :data:`LEASE`
    seconds without a heartbeat by the clock of the process that waits. An owner that was only stopped does not notice
    before its next heartbeat, which warns. No result depends on a lock: what it guards is written atomically under a
    name that determines its content.

    Raises:
        BusyError: if another process holds it and ``wait`` is false.
        ArtifactError: if the lock file cannot be made.
    """
    with clear_io_errors("lock", path):
        make_folder(path.parent)
        lock = filelock.SoftFileLease(
            _file_of(path), lease_duration=LEASE, heartbeat_interval=HEARTBEAT, on_compromise=_warn
        )
        if wait:
            _acquire(lock)
        else:
            _acquire_now(lock)
    try:
        yield
    finally:
        lock.release()


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock on ``path``; makes no file where there is none."""
    try:
        if time.time() - _file_of(path).stat().st_mtime > _FORGOTTEN:
            return False
    except FileNotFoundError:
        return False
    try:
        with locked(path, wait=False):
            return False
    except BusyError:
        return True


def _file_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lease")


def _acquire_now(lock: filelock.SoftFileLease) -> None:
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout as error:
        raise BusyError(lock.lock_file) from error


def _acquire(lock: filelock.SoftFileLease) -> None:
    """Waits for the lock, and removes a file that blocks it for ever.

    filelock leaves two kinds of dead locks alone: those on file systems that cannot exchange two names in one step,
    such as NFS, and empty files, which a power cut leaves behind.
    """
    file, seen, since = Path(lock.lock_file), _state(Path(lock.lock_file)), time.monotonic()
    seconds, poll = 1.0, _FIRST_POLL
    while True:
        with contextlib.suppress(filelock.Timeout):
            lock.acquire(timeout=min(seconds, _LOOK), poll_interval=min(poll, _LOOK))
            return
        seconds, poll = _LOOK, _POLL
        if (now := _state(file)) != seen:
            seen, since = now, time.monotonic()
        elif seen and time.monotonic() - since > STUCK:
            _remove_stuck(file, seen)


def _state(file: Path) -> str:
    """What changes with every owner and every heartbeat; empty where there is no file."""
    try:
        with file.open("rb") as opened:  # opening asks an NFS server for the newest state
            status = os.fstat(opened.fileno())
    except OSError:
        return ""
    return f"{status.st_ino}-{status.st_mtime_ns}"


def _remove_stuck(file: Path, seen: str) -> None:
    """Removes the lock file if it is still the one that was watched; one process at a time may try."""
    claim = file.with_name(f".{file.name}.{seen}")
    with contextlib.suppress(OSError):
        claim.touch(exist_ok=False)
        try:
            if _state(file) == seen:
                _log.warning("removed %s: nothing has changed it for %.0f s, its owner is dead", file, STUCK)
                file.unlink()
        finally:
            claim.unlink()


def _warn(loss: filelock.LeaseCompromise) -> None:
    _log.warning(
        "lost the lock %s (%s): another process may do the same work, which costs time and changes no result",
        loss.lock_file,
        loss.reason,
    )
