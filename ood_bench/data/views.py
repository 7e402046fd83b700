"""Rows of image sets: what passes run over."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ood_bench.data.imageset import ImageSet, Rows, Rows32
from ood_bench.data.stream import stream_of


@dataclass(frozen=True)
class View:
    """Some rows of an image set, in an order.

    Attributes:
        images: the whole set.
        rows: int64 ``[n]`` row numbers, or none for all rows in order.
    """

    images: ImageSet
    rows: Rows | None = None

    def __len__(self) -> int:
        return len(self.images) if self.rows is None else len(self.rows)

    def batches(self, batch_size: int) -> Iterator[Tensor]:
        """uint8 images ``[B, C, H, W]`` in the view's order."""
        if (stream := stream_of(self.images)) is not None:
            rows = np.arange(len(self.images)) if self.rows is None else self.rows
            yield from map(torch.from_numpy, stream.batches(rows, batch_size))
            return
        for start in range(0, len(self), batch_size):
            index = slice(start, start + batch_size)
            yield torch.from_numpy(self.images.images[index if self.rows is None else self.rows[index]].copy())

    def after(self, count: int) -> "View":
        """The view without its first ``count`` rows."""
        if count == 0:
            return self
        return View(self.images, np.arange(count, len(self)) if self.rows is None else self.rows[count:])

    @property
    def fingerprint(self) -> str:
        """Names the pixels and their order: the set's fingerprint and a hash of the rows."""
        rows = "all" if self.rows is None else hashlib.sha256(self.rows.astype("<i8").tobytes()).hexdigest()[:16]
        return f"{self.images.fingerprint}-{rows}"

    def of(self, whole: Rows32) -> Rows32:
        """The view's rows of an array ``[N, D]`` over the whole set."""
        return whole if self.rows is None else whole[self.rows]
