"""Street View House Numbers, cropped digits, from the official MATLAB files."""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from ood_bench.data.download import download
from ood_bench.data.imageset import ImageSet
from ood_bench.data.source import Source, md5_file
from ood_bench.errors import DataError

MIRROR = "http://ufldl.stanford.edu/housenumbers/"
SUMS = {
    "train": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test": "eb5a983be6a315427106f1b164d9cef3",
    "extra": "a93ce644f1a588dc4d68dda5feec44a7",
}
_ZERO = 10


@dataclass(frozen=True, kw_only=True)
class Svhn(Source):
    """One split of SVHN's cropped digits: RGB ``[N, 3, 32, 32]``; the file's label 10 becomes 0.

    Looked for as ``svhn/<split>_32x32.mat``, then as ``<split>_32x32.mat`` (torchvision's layout).

    Attributes:
        split: ``"test"`` (26,032 images), ``"train"`` (73,257) or ``"extra"`` (531,131).
    """

    kind: ClassVar[str] = "svhn"
    split: Literal["train", "test", "extra"] = "test"

    @property
    def fetchable(self) -> bool:
        """See :meth:`Source.fetchable`."""
        return True

    def origin(self) -> str:
        """See :meth:`Source.origin`."""
        return f"{MIRROR}{self._file} -> svhn/{self._file}"

    def inputs(self, root: Path) -> list[Path]:
        """See :meth:`Source.inputs`."""
        places = (root / "svhn" / self._file, root / self._file)
        return [path for path in places if path.is_file()][:1]

    def missing(self, root: Path) -> str | None:
        """See :meth:`Source.missing`."""
        if self.inputs(root):
            return None
        return f"{self.name}: {root / 'svhn' / self._file} is missing; {self._how_to_get(root)}"

    def fetch(self, root: Path) -> None:
        """See :meth:`Source.fetch`."""
        if self.missing(root) is not None:
            download([f"{MIRROR}{self._file}"], root / "svhn" / self._file, md5=SUMS[self.split])

    def read(self, root: Path) -> ImageSet:
        """See :meth:`Source.read`."""
        self.identity(root)
        (path,) = self.inputs(root)
        if (found := md5_file(path)) != SUMS[self.split]:
            raise DataError(
                f"{path}: MD5 is {found}, not {SUMS[self.split]}: incomplete or changed; "
                "delete it and get it again (a .mat file made by others goes in as a folder of images)"
            )
        from scipy.io import loadmat  # noqa: PLC0415 - takes half a second to import, and few runs need it
        from scipy.io.matlab import MatReadError  # noqa: PLC0415

        try:
            held = loadmat(str(path), variable_names=["X", "y"])
            pixels, marks = np.asarray(held["X"]), np.asarray(held["y"]).ravel()
        except (MatReadError, OSError, ValueError, TypeError, KeyError, NotImplementedError) as error:
            raise DataError(f"{path}: not a MATLAB 5 file with X and y: {error}") from error
        except (zlib.error, struct.error, EOFError) as error:
            raise DataError(f"{path}: corrupt or cut off: {error}") from error
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[2] != 3:
            raise DataError(f"{path}: X is {pixels.dtype} {pixels.shape}, not bytes of [H, W, 3, N]")
        images = np.ascontiguousarray(pixels.transpose(3, 2, 0, 1))
        labels = np.where(marks == _ZERO, 0, marks).astype(np.int64)
        return ImageSet.of(self.name, images, labels, variant=self.full_variant, class_names=tuple("0123456789"))

    @property
    def _file(self) -> str:
        return f"{self.split}_32x32.mat"
