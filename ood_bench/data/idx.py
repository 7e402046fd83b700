"""IDX files, the format of MNIST and its relatives: a magic number, big-endian sizes, then bytes."""

import contextlib
import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar, cast

import numpy as np
import numpy.typing as npt

from ood_bench.data.download import is_web_page
from ood_bench.data.imageset import ImageSet, Labels
from ood_bench.data.source import Source, not_keyed
from ood_bench.errors import DataError

_GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTE = 0x08
_HEAD = 512
_MOST_RATIO = 1100  # deflate makes at most 1,032 bytes of one


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A file to be read, unpacked if it is gzipped (whatever it is called).

    Raises:
        DataError: if the file is missing, does not fit in memory, or its gzip stream is corrupt or cut off.
    """
    try:
        with path.open("rb") as file:
            is_packed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            file.seek(0)
            with gzip.open(file) if is_packed else file as stream:
                yield cast("IO[bytes]", stream)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path}: the gzip stream is corrupt or cut off ({error}); delete the file, get it again"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise DataError(f"{path}: reading it needs more memory than there is") from error


def plain_bytes(path: Path, most: int) -> bytes:
    """Bytes of a file, unpacked if it is gzipped.

    Args:
        path: the file.
        most: how many bytes it should have at most.

    Raises:
        DataError: if it has more, or cannot be read.
    """
    with _opened(path) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise DataError(f"{path}: holds more than {most:,} bytes; delete the file, get it again")
    return content


def read_idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """Array of unsigned bytes in an IDX file, plain or gzipped; see :func:`parse_idx`.

    Args:
        path: the file.
        dimensions: how many axes it should have: 3 for images ``[N, H, W]``, 1 for labels ``[N]``.

    Raises:
        DataError: if the file cannot be read, or as :func:`parse_idx`.
    """
    with _opened(path) as stream:
        return parse_idx(stream, dimensions, str(path), path.stat().st_size * _MOST_RATIO)


def parse_idx(stream: IO[bytes], dimensions: int, where: str, most: int) -> npt.NDArray[np.uint8]:
    """Array of unsigned bytes in IDX content: nothing is read that its header does not announce.

    Args:
        stream: the content, not compressed.
        dimensions: how many axes it should have.
        where: the file's name, for messages.
        most: bytes of values that it can hold at most.

    Raises:
        DataError: if the magic number, the number of axes or the length is wrong.
    """
    head, start = stream.read(_HEAD), 4 + 4 * dimensions
    if is_web_page(head):
        raise DataError(f"{where}: a web page was saved under this name; delete it and get the file again")
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] != _UNSIGNED_BYTE:
        raise DataError(f"{where}: not an IDX file of bytes (it starts with {head[:4].hex() or 'nothing'})")
    if head[3] != dimensions:
        raise DataError(f"{where}: {head[3]} axes where {dimensions} are expected (images and labels mixed up?)")
    if len(head) < start:
        raise DataError(f"{where}: cut off inside its header; delete it and get the file again")
    shape = struct.unpack(f">{dimensions}I", head[4:start])
    if (length := math.prod(shape)) > most:
        raise DataError(f"{where}: cut off: its header {shape} asks for {length:,} bytes, more than it can hold")
    values = head[start:] + stream.read(max(0, start + length + 1 - len(head)))
    if len(values) != length:
        state = "cut off" if len(values) < length else "too long"
        raise DataError(f"{where}: {state}: {len(values)} bytes of values where its header {shape} asks for {length}")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)


def either_form(path: Path) -> Path | None:
    """``path`` plain or with ``.gz``, whichever exists."""
    bare = path.with_suffix("") if path.suffix == ".gz" else path
    forms = (path, bare, bare.with_name(bare.name + ".gz"))
    return next((form for form in forms if form.is_file()), None)


@dataclass(frozen=True, kw_only=True)
class Idx(Source):
    """Images, and labels if there are any, from a pair of IDX files, plain or gzipped.

    Attributes:
        images: path of the image file in the data root.
        labels: path of the label file in the data root, or none.
        label_offset: subtracted from every label (1 for EMNIST letters, which are numbered from 1).
        transpose: swaps rows and columns, which NIST's own EMNIST files need to stand upright.
        by_hand: where to get the files.
    """

    kind: ClassVar[str] = "idx"
    always_channels: ClassVar[int] = 1
    images: str
    labels: str | None = None
    label_offset: int = 0
    transpose: bool = False
    by_hand: str = not_keyed("see the config's comments")

    def lacking(self, root: Path) -> str | None:
        lost = [path for path in self._expected(root) if either_form(path) is None]
        return f"{lost[0]} (plain or .gz) is missing" if lost else None

    def inputs(self, root: Path) -> list[Path]:
        return [found for path in self._expected(root) if (found := either_form(path)) is not None]

    def origin(self) -> str:
        return self.by_hand

    def read(self, root: Path) -> ImageSet:
        self.identity(root)
        image_file, *label_files = self.inputs(root)
        pixels = read_idx(image_file, 3)
        if self.transpose:
            pixels = np.ascontiguousarray(pixels.transpose(0, 2, 1))
        labels = self._labels(label_files[0]) if label_files else None
        return ImageSet.of(self.name, pixels[:, None], labels, variant=self.full_variant)

    def _labels(self, path: Path) -> Labels:
        """int64 ``[N]``, counted from zero."""
        labels = read_idx(path, 1).astype(np.int64) - self.label_offset
        if len(labels) and labels.min() < 0:
            raise DataError(f"{path}: a label is below label_offset {self.label_offset}; set label_offset to 0")
        return labels

    def _expected(self, root: Path) -> list[Path]:
        return [root / name for name in (self.images, self.labels) if name is not None]
