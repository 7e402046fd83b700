"""Base of methods that are led by the largest features of an image."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Scorer
from ood_bench.methods.ranges import Percentile
from ood_bench.methods.shaping import ShapingDetector, refuse_negative

LARGEST_RATIO = 600.0
"""Largest exponent of a factor: e^600 is 4e260, and what it is multiplied with stays finite in float64."""


@dataclass
class TopShareDetector(ShapingDetector):
    """Changes that look at the k largest of an image's D features, ``k = D - round(D * percentile / 100)``.

    Attributes:
        percentile: share of the features below the k largest, in percent, at least 0 and below 100.
    """

    percentile: Percentile = 90.0

    name: ClassVar[str]
    """The method's name, for messages."""

    def fit(self, scorer: Scorer, random: np.random.RandomState) -> None:
        """As in the base, then one image whose features are all equal: what has no finite score is refused by it.

        Raises:
            ConfigError: if ``k`` is 0, or so small a part of D that factors would overflow.
        """
        super().fit(scorer, random)
        self.shape(np.ones((1, self.weight.shape[1])))

    def top(self, dims: int) -> int:
        """How many of ``dims`` features are the largest: k; see :func:`top_count`."""
        return top_count(self.name, self.percentile, dims)

    def mass_ratio(self, features: Array) -> Array:
        """:func:`mass_ratio` of the k largest of features ``[n, D]``."""
        return mass_ratio(features, self.top(features.shape[1]))

    def boost(self, features: Array) -> Array:
        """``exp`` of :meth:`mass_ratio` as a column ``[n, 1]``.

        Raises:
            ConfigError: if features are below 0, or the factor would not stay far inside float64.
        """
        refuse_negative(features, self.name)
        return factors(self.name, self.percentile, features.shape[1], self.mass_ratio(features))[:, None]


def top_count(name: str, percentile: float, dims: int) -> int:
    """``k = dims - round(dims * percentile / 100)`` of method ``name``.

    Raises:
        ConfigError: if k is 0.
    """
    if (k := dims - int(np.round(dims * percentile / 100))) < 1:
        raise ConfigError(
            f"method {name}: percentile is {percentile:g}, which leaves none of {dims} features",
            f"set method.{name}.percentile to at most {int(1000 * (1 - 1 / dims)) / 10:g}",
        )
    return k


def factors(name: str, percentile: float, dims: int, ratios: Array) -> Array:
    """``exp`` of ``ratios``, each the sum of ``dims`` values over that of the k largest.

    Raises:
        ConfigError: if a factor would not stay far inside float64.
    """
    if (largest := float(ratios.max(initial=0.0))) > LARGEST_RATIO:
        raise ConfigError(
            f"method {name}: percentile is {percentile:g}, which leaves {top_count(name, percentile, dims)} of {dims} "
            f"features: they are multiplied by up to e^{largest:.0f}, which float64 does not hold",
            f"set method.{name}.percentile to at most 99",
        )
    return np.asarray(np.exp(ratios))


def mass_ratio(features: Array, k: int | npt.NDArray[np.int64]) -> Array:
    """Sum of all features over the sum of the k largest, ``[n]``: between 1 and D / k; 1 where all are 0.

    Args:
        features: ``[n, D]``, none below 0.
        k: the same for all images, or one for each, ``[n]``; at least 1.
    """
    if isinstance(k, int):
        largest = np.partition(features, -k, axis=1)[:, -k:].sum(axis=1)
    else:
        sums = np.sort(features, axis=1)[:, ::-1].cumsum(axis=1)
        largest = np.take_along_axis(sums, k[:, None] - 1, axis=1)[:, 0]
    return np.asarray(np.divide(features.sum(axis=1), largest, out=np.ones(len(features)), where=largest > 0))
