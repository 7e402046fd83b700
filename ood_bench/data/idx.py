"""IDX files, the format of MNIST and its relatives: a magic number, big-endian sizes, then bytes."""

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ood_bench.data.download import is_web_page
from ood_bench.data.imageset import ImageSet, Labels
from ood_bench.data.source import Source, not_keyed
from ood_bench.errors import DataError

_GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTE = 0x08


def plain_bytes(path: Path) -> bytes:
    """Bytes of a file, unpacked if it is gzipped (whatever it is called).

    Raises:
        DataError: if the file is missing, or its gzip stream is corrupt or cut off.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(_GZIP_MAGIC) else content
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path}: the gzip stream is corrupt or cut off ({error}); delete the file, get it again"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def parse_idx(content: bytes, dimensions: int, where: str) -> npt.NDArray[np.uint8]:
    """Array of unsigned bytes held in IDX ``content``.

    Args:
        content: the whole file, not compressed.
        dimensions: how many axes it should have: 3 for images ``[N, H, W]``, 1 for labels ``[N]``.
        where: the file's name, for messages.

    Raises:
        DataError: if the magic number, the number of axes or the length is wrong.
    """
    if is_web_page(content):
        raise DataError(f"{where}: a web page was saved under this name; delete it and get the file again")
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTE:
        raise DataError(f"{where}: not an IDX file of bytes (it starts with {content[:4].hex() or 'nothing'})")
    if content[3] != dimensions:
        raise DataError(f"{where}: {content[3]} axes where {dimensions} are expected (images and labels mixed up?)")
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise DataError(f"{where}: cut off inside its header; delete it and get the file again")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if (found := len(content) - start) != (expected := math.prod(shape)):
        state = "cut off" if found < expected else "too long"
        raise DataError(f"{where}: {state}: {found} bytes of values where its header {shape} asks for {expected}")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


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
        pixels = parse_idx(plain_bytes(image_file), 3, str(image_file))
        if self.transpose:
            pixels = np.ascontiguousarray(pixels.transpose(0, 2, 1))
        labels = self._labels(label_files[0]) if label_files else None
        return ImageSet.of(self.name, pixels[:, None], labels, variant=self.full_variant)

    def _labels(self, path: Path) -> Labels:
        """int64 ``[N]``, counted from zero."""
        labels = parse_idx(plain_bytes(path), 1, str(path)).astype(np.int64) - self.label_offset
        if len(labels) and labels.min() < 0:
            raise DataError(f"{path}: a label is below label_offset {self.label_offset}; set label_offset to 0")
        return labels

    def _expected(self, root: Path) -> list[Path]:
        return [root / name for name in (self.images, self.labels) if name is not None]
