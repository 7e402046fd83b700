"""Locks between processes and machines, as files with a heartbeat: a dead owner's lock is taken over."""

import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import filelock

from ood_bench.errors import ArtifactError
from ood_bench.utils.files import ROOTS, clear_io_errors, make_folder, owner_of, version

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
"""Seconds without a heartbeat, by the file server's clock, after which :func:`is_locked` takes an owner for dead."""


class BusyError(Exception):
    """Another process holds a lock."""


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True, setting: str = ROOTS) -> Iterator[None]:
    """Holds an exclusive lock on ``path``: the file ``<path>.lease``, which is gone when the lock is free.

    An owner on this machine is known to be dead at once; one on another machine counts as dead after :data:`LEASE`
    seconds without a heartbeat by the clock of the process that waits. An owner that was only stopped does not notice
    before its next heartbeat, which warns. No result depends on a lock: what it guards is written atomically under a
    name that determines its content.

    Args:
        path: what is locked.
        wait: whether to wait until it is free.
        setting: see :func:`~ood_bench.utils.files.clear_io_errors`.

    Raises:
        BusyError: if another process holds it and ``wait`` is false.
        ArtifactError: if the lock file cannot be made, or is a dead process's and may not be removed.
    """
    with clear_io_errors("lock", path, setting):
        make_folder(path.parent)
        lock = filelock.SoftFileLease(
            _file_of(path), mode=0o644, lease_duration=LEASE, heartbeat_interval=HEARTBEAT, on_compromise=_warn
        )  # the mode, whatever the umask: other users have to read whose lock it is
        if wait:
            _acquire(lock)
        else:
            _acquire_now(lock)
    try:
        yield
    finally:
        lock.release()


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock on ``path``; leaves no file where there is none."""
    try:
        if _seconds_untouched(_file_of(path)) > _FORGOTTEN:
            return False
    except FileNotFoundError:
        return False
    except OSError:  # who may not write there cannot know
        return True
    try:
        with locked(path, wait=False):
            return False
    except BusyError:
        return True


def _file_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lease")


def _seconds_untouched(file: Path) -> float:
    """Age of a file by the clock of its file server, which sets both times: this machine's clock may be another's."""
    touched = file.stat().st_mtime
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.") as new:
        return os.fstat(new.fileno()).st_mtime - touched


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
    file, seen, since = Path(lock.lock_file), version(Path(lock.lock_file)), time.monotonic()
    seconds, poll = 1.0, _FIRST_POLL
    while True:
        with contextlib.suppress(filelock.Timeout):
            lock.acquire(timeout=min(seconds, _LOOK), poll_interval=min(poll, _LOOK))
            return
        seconds, poll = _LOOK, _POLL
        if (now := version(file)) != seen:
            seen, since = now, time.monotonic()
        elif seen and time.monotonic() - since > STUCK:
            _remove_stuck(file, seen)


def _remove_stuck(file: Path, seen: str) -> None:
    """Removes the lock file if it is still the one that was watched; one process at a time may try.

    Raises:
        ArtifactError: if it is another user's in a folder where only the owner of a file may remove it.
    """
    claim = file.with_name(f".{file.name}.{seen}")
    try:
        claim.touch(exist_ok=False)
    except FileExistsError:
        _remove_old(claim)
        return
    try:
        if version(file) == seen:
            file.unlink(missing_ok=True)
            _log.warning("removed %s: nothing has changed it for %.0f s, its owner is dead", file, STUCK)
    except PermissionError as error:
        raise ArtifactError(
            f"cannot remove {file}, the lock of a dead process{owner_of(file)}",
            "let its owner delete it, or take the sticky bit from the folder (chmod -t)",
        ) from error
    finally:
        claim.unlink(missing_ok=True)


def _remove_old(claim: Path) -> None:
    """Removes the claim of a process that died while it removed a lock file."""
    with contextlib.suppress(OSError):
        if _seconds_untouched(claim) > STUCK:
            claim.unlink()


def _warn(loss: filelock.LeaseCompromise) -> None:
    _log.warning(
        "lost the lock %s (%s): another process may do the same work, which costs time and changes no result",
        loss.lock_file,
        loss.reason,
    )
