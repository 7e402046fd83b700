"""Archives of image folders: unpacked with care into a folder that goes away again."""

import bz2
import contextlib
import glob
import gzip
import lzma
import os
import re
import shutil
import stat
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, ClassVar, Literal, cast

from ood_bench.data.download import MOST_BYTES, download, is_web_page
from ood_bench.data.folder import FolderSource
from ood_bench.data.imageset import ImageSet
from ood_bench.data.source import check_md5, not_keyed, stamp
from ood_bench.errors import DataError
from ood_bench.utils.progress import ticking

Kind = Literal["file", "folder", "other"]
_MOST_AT_ONCE = 1 << 20
_FORGOTTEN = 24 * 3600.0
"""Seconds after which an unpacked folder is taken for that of a dead process."""
_ZIP_MAGIC = b"PK"
_PACKED: tuple[tuple[bytes, Callable[..., Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\0", lzma.open),
)
_DRIVE = re.compile(r"[A-Za-z]:")
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, OSError, NotImplementedError)


@contextlib.contextmanager
def unpacked(archive: Path, inside: str, md5: str | None = None) -> Iterator[Path]:
    """One folder of a tar (plain, gz, bz2, xz) or zip archive, unpacked until the block ends.

    A :class:`DataError` that leaves the block names the archive where it named the unpacked folder.

    Args:
        archive: the file.
        inside: path of the folder in the archive; nothing else is unpacked.
        md5: MD5 of the archive, or none if the publisher states none.

    Raises:
        DataError: if the archive is corrupt, is a web page, has another MD5, reaches outside its folder, holds links,
            devices or two members of one name, lacks the folder, or unpacks to more than the disk (or 40 GiB) holds.
    """
    with archive.open("rb") as file:
        if is_web_page(file.read(1024)):
            raise DataError(f"{archive}: a web page was saved under this name; delete it and get the file again")
    if md5 is not None:
        check_md5(archive, md5)
    beside = archive.parent if os.access(archive.parent, os.W_OK) else None
    prefix = f".unpacking-{archive.name}-"
    for old in archive.parent.glob(f"{glob.escape(prefix)}*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - old.stat().st_mtime > _FORGOTTEN:  # a process that unpacked it was killed
                shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=beside) as name:
        folder = Path(name)
        guard = _Guard(archive, folder, inside)
        _unpack(archive, folder, guard)
        if not (folder / inside).is_dir():
            raise DataError(f"{archive}: holds no folder {inside} (it holds: {', '.join(sorted(guard.tops)[:8])})")
        try:
            yield folder / inside
        except DataError as error:
            message, hint = (text.replace(name, str(archive)) for text in (error.message, error.hint))
            raise DataError(message, hint) from error


class _Guard:
    """Watches over what one archive puts where.

    Attributes:
        tops: first parts of the members' paths, for messages.
    """

    def __init__(self, archive: Path, folder: Path, inside: str) -> None:
        self._archive, self._inside = archive, inside
        self._left = min(MOST_BYTES, shutil.disk_usage(folder).free)
        self._seen: set[str] = set()
        self.tops: set[str] = set()

    def place(self, name: str, size: int, kind: Kind) -> str | None:
        """Where a member goes, with slashes alone; none if it does not belong to the wanted folder.

        Raises:
            DataError: unless it is an ordinary file or folder that stays inside the archive's own folder, and no other
                file has its name.
        """
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or _DRIVE.match(name):
            raise DataError(f"{self._archive}: refused: member {name!r} would land outside its folder")
        if size < 0:
            raise DataError(f"{self._archive}: refused: member {name!r} states a length of {size}")
        if kind == "other":
            raise DataError(f"{self._archive}: refused: member {name!r} is a link or a device")
        self.tops.update(path.parts[:1])
        if not path.is_relative_to(self._inside):
            return None
        if kind == "file" and str(path) in self._seen:
            raise DataError(f"{self._archive}: refused: it holds {name!r} twice, and which one counts is not known")
        self._seen.add(str(path))
        self._left -= size
        if self._left < 0:
            raise DataError(f"{self._archive}: unpacks to more than fits (the disk's free space, at most 40 GiB)")
        return str(path)


def _unpack(archive: Path, folder: Path, guard: _Guard) -> None:
    with archive.open("rb") as file:
        head = file.read(8)
    try:
        if head.startswith(_ZIP_MAGIC):
            _unpack_zip(archive, folder, guard)
        else:
            _unpack_tar(
                archive, next((opener for magic, opener in _PACKED if head.startswith(magic)), None), folder, guard
            )
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError(f"{archive}: cannot be unpacked in {folder.parent}: {error.strerror}") from error
        reason = str(error).split("\n", 1)[0] or type(error).__name__
        raise DataError(f"{archive}: corrupt or cut off ({reason}); delete it and get it again") from error
    except (RuntimeError, MemoryError) as error:
        raise DataError(f"{archive}: cannot be unpacked: {error or 'it needs more memory than there is'}") from error


class _ShortReads:
    """A file that refuses to be read in one piece, as tarfile reads headers whose length the archive states."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        """Bytes of the file; files in an archive are copied in pieces that are shorter than the limit."""
        if not 0 <= size <= _MOST_AT_ONCE:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._file.read(size)


def _unpack_tar(archive: Path, opener: Callable[..., Any] | None, folder: Path, guard: _Guard) -> None:
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(archive.open("rb"))
        plain = raw if opener is None else stack.enter_context(opener(raw))
        tar = stack.enter_context(tarfile.TarFile(fileobj=cast("Any", _ShortReads(plain))))
        ticker = stack.enter_context(ticking(f"unpacking {archive.name}", archive.stat().st_size, "packed bytes"))
        before = 0
        for member in tar:
            kind: Kind = "file" if member.isfile() else "folder" if member.isdir() else "other"
            if (place := guard.place(member.name, member.size, kind)) is not None:
                member.name = place
                tar.extract(member, folder, filter="data")
            ticker.advance(raw.tell() - before)
            before = raw.tell()
        if opener is None:
            # Where nothing is compressed, a header that is cut off looks to tarfile like the end of the archive.
            raw.seek(tar.offset)
            if raw.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("no end mark")


def _unpack_zip(archive: Path, folder: Path, guard: _Guard) -> None:
    with zipfile.ZipFile(archive) as packed:
        members = packed.infolist()
        with ticking(f"unpacking {archive.name}", len(members), "files") as ticker:
            for member in members:
                is_folder = member.filename.endswith(("/", "\\"))
                plain = stat.S_IFMT(member.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
                kind: Kind = "other" if not plain else "folder" if is_folder else "file"
                if (place := guard.place(member.filename, member.file_size, kind)) is not None:
                    member.filename = f"{place}/" if is_folder else place
                    packed.extract(member, folder)
                ticker.advance(1)


@dataclass(frozen=True, kw_only=True)
class ArchiveSource(FolderSource):
    """A folder of images that is published as an archive; the unpacked folder serves as well if it is there.

    Attributes:
        archive: path of the archive in the data root; ``path`` is the folder inside it, and in the data root.
        mirrors: addresses of the archive.
        md5: MD5 of the archive, or none.
        size_bytes: length of the archive, or none.
    """

    kind: ClassVar[str] = "archive"
    archive: str
    mirrors: tuple[str, ...] = not_keyed(())
    md5: str | None = not_keyed(None)
    size_bytes: int | None = not_keyed(None)

    @property
    def fetchable(self) -> bool:
        return bool(self.mirrors)

    def origin(self) -> str:
        return f"{self.mirrors[0]} -> {self.archive}" if self.mirrors else self.by_hand

    def lacking(self, root: Path) -> str | None:
        if (root / self.path).is_dir() or (root / self.archive).is_file():
            return None
        if (root / self.archive).exists():
            return f"{root / self.archive} is no ordinary file"
        return f"neither {root / self.archive} nor the folder {root / self.path} is there"

    def fetch(self, root: Path) -> None:
        if self.missing(root) is not None and self.mirrors:
            download(self.mirrors, root / self.archive, md5=self.md5, size=self.size_bytes)
        super().fetch(root)

    def stamps(self, root: Path) -> Any:
        return super().stamps(root) if (root / self.path).is_dir() else [stamp(root / self.archive, root)]

    def stream(self, root: Path) -> ImageSet | None:
        return super().stream(root) if (root / self.path).is_dir() else None

    def read(self, root: Path) -> ImageSet:
        if (root / self.path).is_dir() or self.missing(root) is not None:
            return super().read(root)
        with unpacked(root / self.archive, self.path, self.md5) as folder:
            return self.read_folder(folder)
