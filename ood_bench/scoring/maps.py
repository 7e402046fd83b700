"""Reductions of one map that a method changes before it is pooled: rows, since pooling is a mean and thus linear."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from ood_bench.scoring.quantities import Reduction


@dataclass(frozen=True)
class RankOneRemovedMean(Reduction):
    """Mean over the P positions of the map ``X [C, P]`` without its largest singular triplet, ``X - s u v'``.

    The triplet comes from the eigenvectors of the smaller of ``X' X`` and ``X X'``, in float64. Where the two largest
    singular values are equal, it is not unique, and one is taken.
    """

    key: ClassVar[str] = "rank-one-removed-mean"

    def __call__(self, tap: Tensor) -> Tensor:
        """Rows ``[B, C]``."""
        maps = tap.flatten(2).double()  # [B, C, P]
        if maps.shape[2] <= maps.shape[1]:
            right = torch.linalg.eigh(maps.mT @ maps).eigenvectors[:, :, -1:]  # [B, P, 1]; X v = s u
            removed = (maps @ right) * right.mean(dim=1, keepdim=True)
        else:
            left = torch.linalg.eigh(maps @ maps.mT).eigenvectors[:, :, -1:]  # [B, C, 1]; X' u = s v
            removed = left * (maps.mT @ left).mean(dim=1, keepdim=True)
        return (maps.mean(dim=2, keepdim=True) - removed).squeeze(2)


@dataclass(frozen=True)
class ShapedMean(Reduction):
    """Mean over positions of a map of which only the k largest of all its n values count, and what ASH's factor needs.

    ``k = n - round(n * percentile / 100)``, n over all channels and positions. Of equal values the first ones in CHW
    order count as the largest.

    Attributes:
        kind: ``top``: all other values become 0; ``flat``: also, the k largest become the sum of all n over k;
            ``whole``: all values stay as they are.
        percentile: at least 0 and below 100, so that k is at least 1.
    """

    kind: Literal["top", "flat", "whole"]
    percentile: float

    @property
    def key(self) -> str:
        """Name that holds kind and percentile."""
        return f"shaped-mean-{self.kind}-{self.percentile!r}"

    def __call__(self, tap: Tensor) -> Tensor:
        """Rows ``[B, C + 2]``: the means, the sum of all values over that of the k largest, and the smallest value.

        The ratio is 1 where the k largest add up to 0.
        """
        values = tap.flatten(1).double()
        n = values.shape[1]
        k = n - int(np.round(n * self.percentile / 100))
        edge = values.kthvalue(n - k + 1, dim=1, keepdim=True).values
        above = values > edge
        missing = k - above.sum(dim=1, keepdim=True)
        whole, largest = values.sum(dim=1, keepdim=True), (values * above).sum(dim=1, keepdim=True) + edge * missing
        ratio = torch.where(largest == 0, 1.0, whole / largest)
        if self.kind != "whole":
            equal = values == edge
            kept = above | (equal & (equal.cumsum(dim=1) <= missing))
            values = kept * (whole / k) if self.kind == "flat" else values * kept
        means = values.view(len(tap), tap.shape[1], -1).mean(dim=2)
        return torch.cat([means, ratio, tap.flatten(1).amin(dim=1, keepdim=True)], dim=1)
