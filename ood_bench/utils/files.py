"""Files and folders that are either whole or absent, and keys and checksums of content."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ood_bench.errors import ArtifactError

ROOTS = "store.root (or results.root)"
"""How messages name the choice of another place, where files go to the store or to the results."""


def refuse_special(path: Path) -> None:
    """Refuses what is no file, before it is opened: a named pipe would wait for ever, a device never end.

    Raises:
        ArtifactError: if it is a folder, a named pipe, a socket or a device; links are followed.
        OSError: if there is no such file, or it cannot be looked at.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a named pipe, a socket or a device"
        raise ArtifactError(f"{path} is {kind}: a file is needed")


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits; see :func:`refuse_special` for what is no file."""
    refuse_special(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def version(path: Path) -> str:
    """What changes whenever a file is written anew or touched; empty where there is none."""
    with contextlib.suppress(OSError), path.open("rb"):  # opening asks an NFS server for the newest state
        pass
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_ino}-{status.st_mtime_ns}"


def canonical_json(value: Any) -> str:
    """JSON text that is equal for equal values: sorted keys, no spaces, no NaN.

    Raises:
        ValueError: if ``value`` holds NaN or an infinity.
        TypeError: if ``value`` holds something that JSON cannot express.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def content_key(value: Any) -> str:
    """Key of an artifact: the first 16 hex digits of the SHA-256 of what determines its content.

    Bytes of a path that are not UTF-8, which Python holds as surrogates, count as they are.
    """
    return hashlib.sha256(canonical_json(value).encode(errors="surrogateescape")).hexdigest()[:16]


@contextlib.contextmanager
def clear_io_errors(doing: str, path: Path, setting: str = ROOTS) -> Iterator[None]:
    """Turns an operating-system error below into an :class:`ArtifactError` that says what to do.

    Args:
        doing: what is being done, as in ``"write the checkpoint"``.
        path: the file or folder concerned.
        setting: what names another place, for the message; empty where there is no choice, as of a file that is read.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            fix = "the disk is full: free some space" + (setting and f", or set {setting} to a folder on another disk")
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            elsewhere = setting and f": set {setting} to a folder that you may write to"
            fix = f"no permission{owner_of(path)}{elsewhere}"
        elif error.errno in (errno.ENOTDIR, errno.EEXIST):
            fix = "a file lies where a folder is needed: remove it" + (setting and f", or set {setting} elsewhere")
        else:
            fix = error.strerror or str(error)
        raise ArtifactError(f"cannot {doing} at {path}: {fix}") from error


def owner_of(path: Path) -> str:
    """Whose the nearest existing file or folder is, if it may not be written to."""
    place = next((place for place in (path, *path.parents) if place.exists()), path)
    if os.access(place, os.W_OK) or not place.exists():
        return ""
    try:
        return f", {place} belongs to {place.owner()}"
    except KeyError:
        return f", {place} belongs to user {place.stat().st_uid}"


def set_aside(path: Path) -> Path:
    """Renames a damaged file or folder to ``.torn``, so that a new one can be made and the old one examined.

    An older one of that name is deleted.

    Raises:
        ArtifactError: if it cannot be renamed.
    """
    torn = path.with_name(f"{path.name}.torn")
    with clear_io_errors("rename", path), contextlib.suppress(FileNotFoundError):
        shutil.rmtree(torn) if torn.is_dir() else torn.unlink(missing_ok=True)
        path.rename(torn)
    return torn


def make_folder(folder: Path) -> None:
    """Makes a folder and its missing parents; a group that may write to the first one's parent may use all of them."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in reversed(missing):
        with contextlib.suppress(OSError):  # another process made it
            around = place.parent.stat().st_mode
            if around & stat.S_IWGRP:
                place.chmod(stat.S_IMODE(place.stat().st_mode) | around & stat.S_IRWXG)


def _share(place: Path) -> None:
    """Lets everybody read a new file or folder, and those write to it who may write to the folder around it.

    Whatever the umask: users of a group share a store, and what it holds is content-keyed.
    """
    around = place.parent.stat().st_mode
    if place.is_dir():
        place.chmod(0o755 | around & (stat.S_IWGRP | stat.S_ISGID))
        for inside in place.iterdir():
            _share(inside)
    elif not place.is_symlink():
        place.chmod(0o644 | around & stat.S_IWGRP)


def write_atomically(path: Path, content: bytes, *, durable: bool = True, setting: str = ROOTS) -> None:
    """Writes ``content`` so that a reader sees the old file or the whole new one, never a part.

    Args:
        path: the file.
        content: all of it.
        durable: whether to wait until the disk has it, so that it outlives a power cut; not worth it for caches.
        setting: see :func:`clear_io_errors`.

    Raises:
        ArtifactError: if the disk is full or the folder may not be written; nothing is left behind.
    """
    with clear_io_errors("write", path, setting), staged_file(path, content, durable=durable) as staged:
        staged.replace(path)


@contextlib.contextmanager
def staged_file(final: Path, content: bytes, *, durable: bool = True) -> Iterator[Path]:
    """A hidden file beside ``final`` with all of ``content``, to be renamed or linked; gone when the block ends.

    Args:
        final: where the content is to go; its folder is made.
        content: all of it.
        durable: see :func:`write_atomically`.
    """
    make_folder(final.parent)
    descriptor, name = tempfile.mkstemp(dir=final.parent, prefix=f".{final.name}.")
    staged = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        _share(staged)
        yield staged
    finally:
        staged.unlink(missing_ok=True)


def move_unless_there(folder: Path, final: Path) -> None:
    """Renames a folder; where another process has put a folder with files at ``final`` meanwhile, it stays."""
    try:
        folder.rename(final)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


@contextlib.contextmanager
def staged_folder(final: Path) -> Iterator[Path]:
    """A temporary folder beside ``final`` that takes its place when the block ends without an error.

    If ``final`` came into being meanwhile, the staged folder is dropped: content-keyed folders are equal.
    """
    with clear_io_errors("write", final):
        make_folder(final.parent)
        staged = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".{final.name}."))
        try:
            yield staged
            _share(staged)
            move_unless_there(staged, final)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
