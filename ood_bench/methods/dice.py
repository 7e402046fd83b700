"""DICE: only the weights of the last layer that contribute most are kept."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array
from ood_bench.methods.ranges import Percentile
from ood_bench.methods.shaping import ShapingDetector
from ood_bench.papers.methods import Source


@dataclass
class Dice(ShapingDetector):
    """A score of ``(M * W) f + b``: f the pooled features, M 1 where a weight contributes much to ID images, else 0.

    Weight W_cd contributes ``W_cd m_d``, m the mean of f over the ID training images; M keeps the weights whose
    contribution is above a percentile of all K x D contributions, so that classes may keep different numbers of them.

    Differences: none from the authors' code and pytorch-ood 0.4, from which the grid is, which it calls the paper's.
    OpenOOD takes 90 and searches no other; it computes M once for an object, so that a percentile set later changes
    nothing.

    Attributes:
        percentile: share of the weights that are removed, in percent, at least 0 and below 100. The authors take 90 for
            CIFAR and 70 for ImageNet.
    """

    percentile: Percentile = 90.0

    source = Source(
        title="DICE: Leveraging Sparsification for Out-of-Distribution Detection",
        authors="Sun and Li",
        venue="ECCV",
        year=2022,
        arxiv="2111.09805",
        code="github.com/deeplearning-wisc/dice",
        licence="MIT",
    )
    published_grid: ClassVar = {"percentile": [10.0, 30.0, 50.0, 70.0, 90.0]}

    def prepare(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """The kept weights ``[K, D]``; labels are not used.

        Raises:
            ConfigError: if no weight contributes more than the percentile.
        """
        contributions = self.weight * features.mean(axis=0)
        kept = contributions > np.percentile(contributions, self.percentile)
        if not kept.any():
            raise ConfigError(
                f"method dice: no weight contributes more than percentile {self.percentile:g} of all, "
                f"which is {np.percentile(contributions, self.percentile):.3g}",
                "set method.dice.percentile lower, or leave the method out for this network",
            )
        self._kept = self.weight * kept

    def shape(self, features: Array) -> Array:
        """Logits by the kept weights."""
        return np.asarray(features @ self._kept.T + self.bias)
