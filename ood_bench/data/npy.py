"""Images in one NumPy file, as Outlier Exposure's authors give out their outliers."""

import io
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from ood_bench.data.imageset import ImageSet
from ood_bench.data.source import Source, not_keyed
from ood_bench.errors import DataError

_MOST_HEADER = 1 << 16


@dataclass(frozen=True, kw_only=True)
class NpySource(Source):
    """A file ``.npy`` of bytes ``[N, H, W, C]``, without labels.

    Attributes:
        path: the file in the data root.
        count: number of images that there must be, or none.
        by_hand: where to get the file.
    """

    kind: ClassVar[str] = "npy"
    path: str
    count: Annotated[int, Field(gt=0)] | None = None
    by_hand: str = not_keyed("see the config's comments")

    def lacking(self, root: Path) -> str | None:
        return None if (root / self.path).is_file() else f"{root / self.path} is missing"

    def origin(self) -> str:
        return f"{self.by_hand} -> {self.path}"

    def inputs(self, root: Path) -> list[Path]:
        return [root / self.path]

    def read(self, root: Path) -> ImageSet:
        self.identity(root)
        path = root / self.path
        shape, offset, by_columns = _header(path)
        if (found := path.stat().st_size - offset) != (expected := math.prod(shape)):
            state = "cut off" if found < expected else "too long"
            raise DataError(f"{path}: {state}: {found:,} bytes of values where {shape} asks for {expected:,}")
        if self.count is not None and shape[0] != self.count:
            raise DataError(f"{path}: holds {shape[0]} images, not {self.count}: incomplete or changed")
        try:
            pixels = np.memmap(path, np.uint8, "r", offset, shape, "F" if by_columns else "C")
            images = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        except (OSError, MemoryError) as error:
            raise DataError(f"{path}: {found:,} bytes cannot be read: {str(error) or 'too little memory'}") from error
        return ImageSet.of(self.name, images, variant=self.full_variant)


def _header(path: Path) -> tuple[tuple[int, ...], int, bool]:
    """Shape ``[N, H, W, C]``, where the values begin, and whether they lie column by column; no value is read.

    Raises:
        DataError: if the file is no NumPy file, or not of bytes in this shape.
    """
    try:
        with path.open("rb") as file:
            head = io.BytesIO(file.read(_MOST_HEADER))
        major, _ = np.lib.format.read_magic(head)
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, by_columns, dtype = read(head)
    except (OSError, ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        what = ": an archive of several arrays (.npz)?" if zipfile.is_zipfile(path) else ", or cut off in its header"
        raise DataError(f"{path}: not a NumPy file{what}") from error
    if dtype != np.uint8 or len(shape) != 4 or shape[3] not in (1, 3):
        raise DataError(f"{path}: holds {dtype} {shape}, not bytes of [N, H, W, channels]")
    if any(isinstance(length, bool) or length < 1 for length in shape):
        raise DataError(f"{path}: holds no images: its shape is {shape}")
    return shape, head.tell(), by_columns
