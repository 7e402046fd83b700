"""CF-OOD: how large neighbourhoods of training images must be for enough of them to hold the image."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array
from ood_bench.methods.knn import normalised
from ood_bench.methods.posthoc import FeaturesDetector
from ood_bench.methods.ranges import Share, Whole
from ood_bench.papers.methods import Source

_SHARES = np.concatenate([np.linspace(0.001, 0.1, 100), np.linspace(0.105, 0.5, 81), np.linspace(0.51, 0.99, 49)])
_VALUES = 2**22


@dataclass
class CfOod(FeaturesDetector):
    """``-kappa``: the smallest kappa for which a share rho of a reference set has the image among its neighbours.

    The reference are n ID training images drawn at random, features at unit length. One of them has the image among its
    neighbours at kappa if it is no farther from it than from its own ``kappa n``-th nearest of the others. kappa runs
    over the authors' grid of 230 shares from 0.001 to 0.99, from which shares with the same neighbour are left out; it
    is 1 where even 0.99 is too small. There are no other values, so that images tie.

    Differences: OpenOOD's code is the authors' own; it draws without a seed and computes in float32. Its ``alpha`` is
    ``share`` here, and its ``k`` is ``rho``. pytorch-ood has no such detector.

    Attributes:
        share: share of the ID training images in the reference, above 0 and at most 1; the authors take 0.1.
        rho: share of the reference that must have the image among its neighbours, above 0 and at most 1.
        seed: seeds the draw.
    """

    share: Share = 0.1
    rho: Share = 0.01
    seed: Whole = 0

    source = Source(
        title="CF-OOD: Concentration-Free Density Estimation for Reliable Out-of-Distribution Detection",
        authors="Angiulli, Fassetti and Zupi",
        venue="University of Calabria, IRIS 20.500.11770/399817",
        year=2026,
        url="https://iris.unical.it/handle/20.500.11770/399817",
        code="github.com/Jingkang50/OpenOOD",
        licence="MIT",
    )
    published_grid: ClassVar = {"share": [0.1, 0.5, 1.0], "rho": [0.001, 0.005, 0.01, 0.05]}

    def learn(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """The reference, and the squared radius of its images' neighbourhoods at each share; labels are not used.

        Takes time in the square of the reference: distances are formed for 4 million pairs at a time.

        Raises:
            ConfigError: if the reference has fewer than two images.
        """
        count = int(len(features) * self.share)
        if count < 2:
            raise ConfigError(
                f"method cfood: the reference has {count} of {len(features)} ID training images, and needs two",
                "set method.cfood.share higher, or use more training images",
            )
        rows = features[np.random.RandomState(self.seed).permutation(len(features))[:count]]
        self._reference = torch.from_numpy(normalised(rows))
        places, first = np.unique((_SHARES * count - 1).astype(int), return_index=True)
        self._shares = np.append(_SHARES[first], 1.0)
        size = max(1, _VALUES // count)
        parts = []
        for start in range(0, count, size):
            squares = self._squares(self._reference[start : start + size])
            squares[torch.arange(len(squares)), torch.arange(start, start + len(squares))] = -1.0  # itself comes first
            parts.append(squares.sort(dim=1).values[:, places + 1])
        self._radii = torch.cat(parts).T.contiguous()

    def score(self, features: Array) -> Array:
        """Minus kappa, found by bisection: the more neighbours, the more of the reference has the image among them."""
        rows, count = torch.from_numpy(normalised(features)), len(self._reference)
        enough = int(np.ceil(self.rho * count - 1e-9))
        found = [self._place(part, enough) for part in torch.split(rows, max(1, _VALUES // count))]
        return np.asarray(-self._shares[torch.cat(found).numpy()])

    def _place(self, rows: torch.Tensor, enough: int) -> torch.Tensor:
        """First of the shares ``[n]`` at which ``enough`` of the reference have each row among their neighbours."""
        squares = self._squares(rows)
        low = torch.zeros(len(rows), dtype=torch.int64)
        high = torch.full_like(low, len(self._radii))
        while (low < high).any():
            middle = (low + high) // 2
            radii = self._radii[middle.clamp(max=len(self._radii) - 1)]
            held = (radii >= squares).sum(dim=1, dtype=torch.int32) >= enough
            open_ = low < high
            low, high = torch.where(open_ & ~held, middle + 1, low), torch.where(open_ & held, middle, high)
        return low

    def _squares(self, rows: torch.Tensor) -> torch.Tensor:
        """Squared distances ``[n, count]`` of rows ``[n, D]`` to the reference."""
        lengths = rows.square().sum(dim=1, keepdim=True) + self._reference.square().sum(dim=1)
        return torch.addmm(lengths, rows, self._reference.T, alpha=-2)
