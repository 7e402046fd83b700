"""Who holds a lock, told by a file with a heartbeat: for file systems whose locks do not reach other machines."""

import contextlib
import os
import secrets
import socket
import threading
import time
from pathlib import Path

BEAT = 10.0
"""Seconds between two heartbeats."""
PATIENCE = 90.0
"""Seconds without a heartbeat after which an owner on another machine counts as dead; NFS may hide one for 60."""
_EMPTY = "? its owner died before it had written its name"


def machine() -> str:
    """Name of this machine since it was started, so that a lease from before a restart is nobody's."""
    with contextlib.suppress(OSError):
        return f"{socket.gethostname()}-{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}"
    return socket.gethostname()


class Witness:
    """Watches a lease from outside, by the clock of the watcher alone.

    Args:
        path: the lease's file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[str, int] | None = None
        self._since = time.monotonic()

    def look(self) -> tuple[str, float]:
        """What the file says (empty if there is none), and for how many seconds it has been saying so unchanged."""
        try:
            with self._path.open(encoding="utf-8") as file:  # opening asks an NFS server for the newest state
                now = file.read() or _EMPTY, os.fstat(file.fileno()).st_mtime_ns
        except OSError:
            now = "", 0
        if now != self._seen:
            self._seen, self._since = now, time.monotonic()
        return now[0], time.monotonic() - self._since

    def abandoned(self) -> str:
        """What the lease says if its owner is on another machine and has been silent for too long; else empty."""
        said, silent = self.look()
        return said if said and silent > PATIENCE and not said.startswith(f"{machine()} ") else ""


class Lease:
    """A claim on one file name; to be taken by whoever holds the system's lock on it.

    Two processes of one machine never meet here, for the system's lock has sorted them out; a lease that this machine
    left behind is therefore a dead process's, and is taken over at once. Another machine's is respected until its
    heart has not beaten for ``PATIENCE`` seconds. What a lock guards is written atomically under the hash of its
    content, so that a wrongly taken lease costs time and nothing else.

    Args:
        path: the lease's file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text = f"{machine()} {os.getpid()} {secrets.token_hex(8)}"
        self._stop = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)

    def take(self) -> None:
        """Waits for the lease and takes it.

        Raises:
            OSError: if the file cannot be made.
        """
        witness = Witness(self._path)
        while not self._create():
            said, _ = witness.look()
            dead = said if said.startswith(f"{machine()} ") else witness.abandoned()
            if dead:
                self._remove(dead)
            else:
                time.sleep(min(0.5, PATIENCE / 10))
        self._heart.start()

    def give_back(self) -> None:
        """Stops the heartbeat and removes the file, if it is still this owner's."""
        self._stop.set()
        self._heart.join()
        with contextlib.suppress(OSError):
            if self._path.read_text(encoding="utf-8") == self._text:
                self._path.unlink()

    def _create(self) -> bool:
        try:
            descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(self._text)
        return True

    def _remove(self, said: str) -> None:
        """Removes a dead owner's lease; one that somebody else took meanwhile is put back."""
        taken = self._path.with_name(f"{self._path.name}.{secrets.token_hex(8)}")
        with contextlib.suppress(OSError):
            self._path.rename(taken)
            if (taken.read_text(encoding="utf-8") or _EMPTY) != said:
                os.link(taken, self._path)
        taken.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._stop.wait(BEAT):
            try:
                if self._path.read_text(encoding="utf-8") != self._text:
                    return
                os.utime(self._path)
            except OSError:
                continue
