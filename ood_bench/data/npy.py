"""Images in one NumPy file, as Outlier Exposure's authors give out their outliers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from ood_bench.data.imageset import ImageSet
from ood_bench.data.source import Source, not_keyed
from ood_bench.errors import DataError


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
        try:
            pixels: np.ndarray[Any, np.dtype[Any]] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{path}: not a NumPy file, or cut off: {error}") from error
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] not in (1, 3):
            raise DataError(f"{path}: holds {pixels.dtype} {pixels.shape}, not bytes of [N, H, W, channels]")
        if self.count is not None and len(pixels) != self.count:
            raise DataError(f"{path}: holds {len(pixels)} images, not {self.count}: incomplete or changed")
        return ImageSet.of(self.name, np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)), variant=self.full_variant)
