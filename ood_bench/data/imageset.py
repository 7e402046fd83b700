"""The one form that every image set takes after its first use: a uint8 array with labels and a fingerprint."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ood_bench.errors import DataError
from ood_bench.utils.printable import printable

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]
Rows32 = npt.NDArray[np.float32]

_BLOCK = 4096


def fingerprint(images: Images, labels: Labels | None) -> str:
    """SHA-256 over shape, pixels and labels, as 64 hex digits: equal content, equal fingerprint.

    Args:
        images: uint8 ``[N, C, H, W]``.
        labels: int64 ``[N]``, or none.
    """
    digest = hashlib.sha256(f"ood-bench-images-1:{images.shape}:{labels is not None}".encode())
    for start in range(0, len(images), _BLOCK):
        digest.update(np.ascontiguousarray(images[start : start + _BLOCK]).data)
    if labels is not None:
        digest.update(np.ascontiguousarray(labels, dtype="<i8").data)
    return digest.hexdigest()


def titled(name: str, variant: str) -> str:
    """A name with its variant in brackets, if it has one; whatever a variant holds, the title is one line of text."""
    return f"{name} ({printable(variant, keep='')})" if variant else name


def with_left_out(variant: str, count: int) -> str:
    """A variant that says how many damaged images were left out, if any were."""
    return "; ".join(filter(None, (variant, f"{count:,} damaged left out" if count else "")))


@dataclass(frozen=True)
class ImageSet:
    """Images as they are scored, before normalisation.

    Attributes:
        name: canonical name, as in the published tables (``"mnist"``).
        images: uint8 ``[N, C, H, W]``, often memory-mapped: do not write to it.
        labels: int64 ``[N]``, or none.
        fingerprint: SHA-256 over pixels and labels.
        variant: what these pixels are when they are not the official release, in the words that every table
            shows (``"JPEG copy"``); empty for the official release.
        class_names: names of the classes, if known; ``labels`` index them.
        left_out: how many damaged images its source has beside these; the variant says it, too.
    """

    name: str
    images: Images
    labels: Labels | None
    fingerprint: str
    variant: str = ""
    class_names: tuple[str, ...] = field(default=())
    left_out: int = 0

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise DataError(f"{self.name}: images are {self.images.dtype} {self.images.shape}, not uint8 [N, C, H, W]")
        if len(self.images) == 0:
            raise DataError(f"{self.name}: the set has no images")
        if self.labels is not None and self.labels.shape != (len(self.images),):
            raise DataError(f"{self.name}: {len(self.images)} images but labels of shape {self.labels.shape}")

    @classmethod
    def of(
        cls,
        name: str,
        images: Images,
        labels: Sequence[int] | npt.NDArray[np.integer] | None = None,
        *,
        variant: str = "",
        class_names: Sequence[str] = (),
        left_out: int = 0,
    ) -> "ImageSet":
        """Makes a set from arrays in memory and computes its fingerprint.

        Args:
            name: canonical name.
            images: uint8 ``[N, C, H, W]``.
            labels: ``[N]`` integers, or none.
            variant: see the attribute.
            class_names: see the attribute.
            left_out: see the attribute.
        """
        whole = None if labels is None else np.asarray(labels, dtype=np.int64)
        variant = with_left_out(variant, left_out)
        return cls(name, images, whole, fingerprint(images, whole), variant, tuple(class_names), left_out)

    def __len__(self) -> int:
        return len(self.images)

    def same_pixels(self, other: "ImageSet") -> bool:
        """Whether both have the same pixels in the same order, whatever their names and labels."""
        if self.fingerprint == other.fingerprint:
            return True
        if self.images.shape != other.images.shape or not np.array_equal(self.images[0], other.images[0]):
            return False  # a look at one image spares decoding those of sets that are not in the store
        return all(
            np.array_equal(self.images[start : start + _BLOCK], other.images[start : start + _BLOCK])
            for start in range(0, len(self), _BLOCK)
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    @property
    def title(self) -> str:
        """Name with the variant, as tables print it: ``"cifar10 (JPEG copy)"``."""
        return titled(self.name, self.variant)
