"""WeiPer+KLD: how the values of one image's features and of its perturbed logits are distributed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Scorer, Setting
from ood_bench.methods.posthoc import HeadDetector
from ood_bench.methods.ranges import Count, NotNegative, Whole
from ood_bench.papers.methods import Source

_VALUES = 2**20


class Densities(NamedTuple):
    """What is scored of images, or its mean over images.

    Attributes:
        features: share of the features' values in each bin, ``[n, bins]``.
        perturbed: share of the perturbed logits in each bin, ``[n, bins]``.
        confidence: mean over perturbed heads of the maximum softmax probability, ``[n]``.
    """

    features: Array
    perturbed: Array
    confidence: Array


@dataclass
class WeiPer(HeadDetector):
    """``-(D_f + lambda_1 D_w - lambda_2 C)`` of one image's features f and their logits under perturbed last layers.

    There are ``repeats`` heads, whose weights are w_k plus noise of length ``distance ||w_k||`` in a random direction.
    D_f compares a histogram of the D values of f with its mean over ID training images; D_w does so for all logits of
    all heads; C is the mean over the heads of the maximum softmax probability. Both histograms have ``bins`` bins from
    the least to the largest value of the training images; values outside are not counted. D is the symmetric divergence
    ``sum_b (p_b - q_b) (log p_b - log q_b)``. q, the image's, is first smoothed by a moving average; to both 0.01 (for
    logits 0.025) is added, and they are scaled to sum to 1.

    Differences: the authors' code draws new noise without a seed for every batch that it scores, because it hands its
    heads on under a name that nothing reads, and averages training histograms by batches of unequal size; here one
    draw serves all, and every image counts alike. Neither OpenOOD's own repository nor pytorch-ood has the method.

    The shipped values are what the authors' search for CIFAR-10 and ResNet-18, of 512 features, starts from. On
    networks of few features, whose histograms are sparse, the method stands far below its base until it is tuned
    (``tune=aps``).

    Attributes:
        lambda_1: weight of D_w. This and the following are the authors' choices for CIFAR-10.
        lambda_2: weight of C.
        smoothing: bins of the moving average, for features.
        smoothing_perturbed: bins of the moving average, for logits.
        bins: bins of a histogram.
        distance: delta, length of the noise over that of the weights.
        repeats: r, number of perturbed heads.
        seed: seeds the noise.
    """

    lambda_1: NotNegative = 2.5
    lambda_2: NotNegative = 0.1
    smoothing: Count = 4
    smoothing_perturbed: Count = 15
    bins: int = 100
    distance: NotNegative = 1.8
    repeats: Count = 100
    seed: Whole = 0

    source = Source(
        title="WeiPer: OOD Detection using Weight Perturbations of Class Projections",
        authors="Granz, Heurich and Landgraf",
        venue="NeurIPS",
        year=2024,
        arxiv="2405.17164",
        code="github.com/mgranz/weiper",
        licence="none stated; MIT for the copy of OpenOOD that holds it",
    )
    published_grid: ClassVar = {
        "lambda_1": [0.1, 1.0, 2.5, 4.0],
        "lambda_2": [0.1, 0.25, 1.0, 2.5, 5.0],
        "bins": [60, 80, 100],
        "distance": [1.8, 2.0, 2.2, 2.4],
        "smoothing": [4, 8, 12, 20, 40],
        "smoothing_perturbed": [15, 25, 40],
    }

    def __post_init__(self) -> None:
        widths = (self.smoothing, self.smoothing_perturbed)
        if max(widths) > self.bins:
            raise ConfigError(
                f"method weiper: smoothing is {widths[0]}, smoothing_perturbed {widths[1]} and bins {self.bins}",
                "set both smoothings to at most method.weiper.bins",
            )

    def learn(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """Ranges of values, and mean histograms; labels are not used.

        Raises:
            ConfigError: if all features or all perturbed logits are equal.
        """
        ends = np.array([(part.min(), part.max()) for _, part in self._perturbed(features)])
        self._ranges = ((features.min(), features.max()), (ends[:, 0].min(), ends[:, 1].max()))
        if any(low == high for low, high in self._ranges):
            raise ConfigError(
                "method weiper: features or logits of the ID training images are all equal",
                "train for longer, or leave the method out",
            )
        densities = self._densities(features)
        self._typical = Densities(*(values.mean(axis=0) for values in densities))

    def score(self, features: Array) -> Array:
        """How likely the two distributions are, and how confident the heads."""
        return self._combined(self._densities(features), self._typical)

    def scores_at(self, settings: Sequence[Setting], scorer: Scorer, rows: Array) -> Array:
        """Scores ``[len(settings), n]``; settings with the same bins and distance share one fit and its histograms."""
        methods = [replace(self, **setting) for setting in settings]  # type: ignore[arg-type]
        scores = np.empty((len(settings), len(rows)))
        for bins, distance in dict.fromkeys((one.bins, one.distance) for one in methods):
            fitted: Any = self._at({"bins": bins, "distance": distance}, scorer)
            densities = fitted._densities(rows)
            for place, one in enumerate(methods):
                if (one.bins, one.distance) == (bins, distance):
                    scores[place] = one._combined(densities, fitted._typical)
        return scores

    def _combined(self, densities: Densities, typical: Densities) -> Array:
        own = _divergences(densities.features, typical.features, self.smoothing, 0.01)
        perturbed = _divergences(densities.perturbed, typical.perturbed, self.smoothing_perturbed, 0.025)
        return self.lambda_2 * densities.confidence - own - self.lambda_1 * perturbed

    def _densities(self, features: Array) -> Densities:
        count, width = features.shape
        own, perturbed, confidence = np.zeros((count, self.bins)), np.zeros((count, self.bins)), np.zeros(count)
        size = max(1, _VALUES // width)
        for rows in (slice(first, first + size) for first in range(0, count, size)):
            own[rows] = _counts(features[rows], *self._ranges[0], self.bins)
        for rows, logits in self._perturbed(features):
            perturbed[rows] += _counts(logits.reshape(len(logits), -1), *self._ranges[1], self.bins)
            odds = np.subtract(logits, logits.max(axis=1, keepdims=True), out=logits)
            confidence[rows] += (1 / np.exp(odds, out=odds).sum(axis=1)).sum(axis=1)
        heads = self.repeats
        return Densities(own / width, perturbed / (heads * len(self.weight)), confidence / heads)

    def _perturbed(self, features: Array) -> Iterator[tuple[slice, Array]]:
        """Logits ``[n, K, r]`` of some rows under some of the heads, which together are all, and the rows."""
        classes, width = self.weight.shape
        lengths = self.distance * np.linalg.norm(self.weight, axis=1, keepdims=True)
        block = max(1, 4 * _VALUES // self.weight.size)
        for first in range(0, self.repeats, block):
            numbers = range(first, min(first + block, self.repeats))
            noise = np.stack([np.random.RandomState([self.seed, one]).normal(size=(classes, width)) for one in numbers])
            noise *= lengths / np.linalg.norm(noise, axis=2, keepdims=True)
            heads = (noise + self.weight).swapaxes(0, 1).reshape(-1, width).T
            size = max(1, _VALUES // heads.shape[1])
            for rows in (slice(start, start + size) for start in range(0, len(features), size)):
                yield rows, (features[rows] @ heads).reshape(-1, classes, len(numbers)) + self.bias[:, None]


def _counts(values: Array, low: float, high: float, bins: int) -> Array:
    """How many of each row's values ``[n, m]`` lie in each of equal bins from ``low`` to ``high``, ``[n, bins]``."""
    places = values - low
    places *= bins / (high - low)
    np.minimum(places, bins - 1, out=places)
    places[(values < low) | (values > high)] = bins  # a bin of its own
    found = places.astype(np.int64)
    found += (bins + 1) * np.arange(len(values))[:, None]
    counts = np.bincount(found.ravel(), minlength=len(values) * (bins + 1)).astype(np.float64)
    return counts.reshape(-1, bins + 1)[:, :bins]


def _divergences(densities: Array, typical: Array, smoothing: int, floor: float) -> Array:
    """Symmetric divergence ``[n]`` of densities ``[n, bins]``, smoothed, from the typical one ``[bins]``."""
    bins = len(typical)
    kernel = np.zeros((bins, bins))
    for step in range(smoothing):  # beyond the ends the outer bins are repeated
        taken = (np.arange(bins) - (smoothing - 1) // 2 + step).clip(0, bins - 1)
        kernel[taken, np.arange(bins)] += 1 / smoothing
    q = densities @ kernel + floor
    q /= q.sum(axis=1, keepdims=True)
    p = (typical + floor) / (typical + floor).sum()
    return np.asarray(((p - q) * (np.log(p) - np.log(q))).sum(axis=1))
