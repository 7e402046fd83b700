"""Relation graph: sum of the likenesses to all training images, by features and predictions."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax

from ood_bench.methods.base import Array
from ood_bench.methods.posthoc import HeadDetector
from ood_bench.methods.ranges import NotNegative, Positive
from ood_bench.methods.unit import unit_length
from ood_bench.papers.methods import Source

_ROWS, _BANK = 256, 1024


@dataclass
class Relation(HeadDetector):
    """``sum_j r_j^power`` over the ID training images j with ``r_j = max(0, g . g_j) (p . p_j)`` above a threshold.

    g are the features at unit length, p the softmax probabilities: r_j is high where features point alike and the
    network predicts the same classes for both.

    Differences: the authors' code gives the inverse of the sum for outliers; OpenOOD's is this one.
    pytorch-ood 0.4 has no such detector. Everything is computed in float64, in blocks of 256 by 1,024 images; theirs
    in float32. Features of norm 0, NaN in the authors' code, are related to no image.

    Attributes:
        power: t, the kernel's temperature; the authors take 1 for OOD detection.
        threshold: smaller r_j count as 0, at least 0; fixed in the authors' code.
    """

    power: Positive = 1.0
    threshold: NotNegative = 0.03

    source = Source(
        title="Neural Relation Graph: A Unified Framework for Identifying Label Noise and Outlier Data",
        authors="Kim, Yun and Song",
        venue="NeurIPS",
        year=2023,
        arxiv="2301.12321",
        code="github.com/snu-mllab/Neural-Relation-Graph",
        licence="MIT",
    )
    published_grid: ClassVar = {"power": [1.0, 2.0, 4.0, 6.0, 8.0]}

    def learn(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """Features at unit length and probabilities of all training images; labels are not used."""
        self._bank = self._described(features)

    def score(self, features: Array) -> Array:
        """Sum of what is above the threshold."""
        rows = zip(*(torch.split(part, _ROWS) for part in self._described(features)), strict=True)
        return torch.cat([self._sums(*block) for block in rows]).numpy()

    def _sums(self, directions: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        """Scores ``[B]`` of a block of images."""
        found = torch.zeros(len(p), dtype=torch.float64)
        for known, p_known in zip(*(torch.split(part, _BANK) for part in self._bank), strict=True):
            related = (directions @ known.T).mul_(p @ p_known.T)
            torch.threshold_(related, self.threshold, 0.0)  # negative cosines fall out with it
            found += _power(related, self.power).sum(dim=1)
        return found

    def _described(self, features: Array) -> tuple[torch.Tensor, torch.Tensor]:
        """Features at unit length ``[n, D]`` and probabilities ``[n, K]``."""
        p = softmax(self.logits(features), axis=1)
        return torch.from_numpy(unit_length(features)), torch.from_numpy(p)


def _power(values: torch.Tensor, power: float) -> torch.Tensor:
    """Values, in their place, to a power; squares first, which are faster."""
    while power % 2 == 0:
        values, power = values.square_(), power / 2
    return values if power == 1 else values.pow_(power)
