"""Tests of two methods on the same images: DeLong's for AUROC, and a bootstrap of any metric's difference.

Both take the pairing into account: an image that is hard for one method is mostly hard for the other, so that the
difference is known better than either value. They speak of the images only, not of other training seeds.

Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988); ranks in place of the double sum: Sun and Xu, IEEE
Signal Processing Letters 21 (2014).
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from ood_bench.metrics import exact
from ood_bench.metrics.bootstrap import ENDS
from ood_bench.metrics.curve import Counts, Curve, MetricError, Scores, checked_scores

Metric = Callable[[Curve], float]
Pair = tuple[npt.ArrayLike, npt.ArrayLike]
"""ID scores ``[N_id]`` and OOD scores ``[N_ood]`` of one method."""


class DeLong(NamedTuple):
    """Two correlated AUROCs; all but ``z`` and ``p`` in percent.

    Attributes:
        first: AUROC of the first method.
        second: AUROC of the second.
        difference: the first minus the second.
        low: lower end of the 95 % interval of the difference.
        high: upper end of it.
        z: the difference over its standard error; infinite where that is 0 and the difference is not.
        p: two-sided p-value of equal AUROCs.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    z: float
    p: float


def placements(id_scores: Scores, ood_scores: Scores) -> tuple[Scores, Scores]:
    """For each ID row the share of OOD rows below it, for each OOD row the share of ID rows above; ties count one half.

    Args:
        id_scores: ``[N_id]``, higher means more in-distribution.
        ood_scores: ``[N_ood]``, likewise.
    """
    pooled = rankdata(np.concatenate((id_scores, ood_scores)))
    below = (pooled[: id_scores.size] - rankdata(id_scores)) / ood_scores.size
    above = 1 - (pooled[id_scores.size :] - rankdata(ood_scores)) / id_scores.size
    return below, above


def delong(first: Pair, second: Pair) -> DeLong:
    """DeLong's test of two methods' AUROCs on the same rows.

    Args:
        first: ID scores ``[N_id]`` and OOD scores ``[N_ood]`` of one method.
        second: scores of the other, row by row of the same images.

    Raises:
        MetricError: if scores cannot be ranked, are not paired, or a side has fewer than two rows.
    """
    return delong_of_means([first], [second])


def delong_of_means(first: Sequence[Pair], second: Sequence[Pair]) -> DeLong:
    """DeLong's test of two methods' mean AUROCs over several OOD sets against the same ID rows.

    The ID rows are shared, so their part of the variance is that of each row's mean over the sets; the OOD sets are
    independent of each other.

    Args:
        first: ID and OOD scores of one method, a pair for each OOD set; ID scores row by row of the same images.
        second: scores of the other, in the same order.

    Raises:
        MetricError: as :func:`delong`, or if the sets differ in their number of ID rows.
    """
    pairs = [_paired(*both) for both in zip(first, second, strict=True)]
    one, other = (_Placed.of([pair[side] for pair in pairs]) for side in (0, 1))
    difference = one.value - other.value
    error = (one - other).error()
    certain = math.copysign(math.inf, difference) if difference else 0.0
    z = difference / error if error > 0 else certain
    half = float(ndtri(0.975)) * error
    return DeLong(
        first=100 * one.value,
        second=100 * other.value,
        difference=100 * difference,
        low=100 * (difference - half),
        high=100 * (difference + half),
        z=z,
        p=2 * float(ndtr(-abs(z))),
    )


def mean_auroc(pairs: Sequence[Pair]) -> tuple[float, float, float]:
    """Mean AUROC over OOD sets against the same ID rows, and the ends of its 95 % interval by DeLong, in percent.

    Args:
        pairs: ID scores ``[N_id]`` and OOD scores ``[N_ood]`` of each set.

    Raises:
        MetricError: as :func:`delong_of_means`.
    """
    placed = _Placed.of([checked_scores(*pair) for pair in pairs])
    half = float(ndtri(0.975)) * placed.error()
    return 100 * placed.value, 100 * (placed.value - half), 100 * (placed.value + half)


def holm(p: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Holm's adjusted p-values of a family of tests, ``[n]`` like ``p``: below 0.05 they hold all together at 5 %."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values)
    stepped = np.maximum.accumulate(values[order] * np.arange(values.size, 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


class _Placed(NamedTuple):
    """Placements of each ID row, as the mean over sets, and of the OOD rows of each set."""

    below: Scores
    above: list[Scores]

    @classmethod
    def of(cls, pairs: Sequence[tuple[Scores, Scores]]) -> "_Placed":
        if min(side.size for pair in pairs for side in pair) < 2:
            raise MetricError("DeLong's test needs at least two ID and two OOD rows")
        if len({ids.size for ids, _ in pairs}) > 1:
            raise MetricError("a mean over OOD sets needs the same ID rows for each")
        below, above = zip(*(placements(*pair) for pair in pairs), strict=True)
        return cls(np.mean(below, axis=0), list(above))

    @property
    def value(self) -> float:
        return float(self.below.mean())

    def __sub__(self, other: "_Placed") -> "_Placed":
        return _Placed(self.below - other.below, [a - b for a, b in zip(self.above, other.above, strict=True)])

    def error(self) -> float:
        """Standard error of the mean over sets, or of a difference of such means."""
        ood = sum(float(one.var(ddof=1)) / one.size for one in self.above) / len(self.above) ** 2
        return math.sqrt(float(self.below.var(ddof=1)) / self.below.size + ood)


def bootstrap_difference(
    first: Pair,
    second: Pair,
    *,
    metric: Metric = exact.auroc,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % percentile interval of the difference of any exact metric, first minus second, in percent.

    Each resample draws images, ID and OOD separately, and measures both methods on the same draw.

    Args:
        first: as for :func:`delong`.
        second: likewise.
        metric: a function of :mod:`ood_bench.metrics.exact`.
        resamples: number of resamples.
        seed: of the draws.

    Raises:
        MetricError: if scores cannot be ranked or are not paired, or ``resamples`` is below 1.
    """
    if resamples < 1:
        raise MetricError(f"{resamples} resamples make no interval: set at least 1, better 1000")
    pairs = _paired(first, second)
    drawn = [_Resampler(*scores) for scores in pairs]
    n_id, n_ood = (side.size for side in pairs[0])
    random = np.random.default_rng(seed)
    values = np.empty(resamples)
    for index in range(resamples):
        weights = _draw(random, n_id), _draw(random, n_ood)
        one, other = (metric(each.curve(*weights)) for each in drawn)
        values[index] = one - other
    low, high = 100 * np.quantile(values, ENDS)
    return float(low), float(high)


class _Resampler:
    """Reads resampled curves at the thresholds of the original one, so that each method is sorted once."""

    def __init__(self, id_scores: Scores, ood_scores: Scores) -> None:
        self._curve = Curve.of(id_scores, ood_scores)
        self._orders = np.argsort(-id_scores), np.argsort(-ood_scores)

    def curve(self, id_weights: Counts, ood_weights: Counts) -> Curve:
        """The curve of the rows drawn as often as the weights say."""
        tp, fp = (
            np.concatenate(([0], np.cumsum(weights[order])))
            for weights, order in zip((id_weights, ood_weights), self._orders, strict=True)
        )
        base = self._curve
        return Curve(base.thresholds, tp[base.tp], fp[base.fp], base.n_id, base.n_ood)


def _draw(random: np.random.Generator, rows: int) -> Counts:
    """How often each of ``rows`` rows is drawn."""
    return np.bincount(random.integers(0, rows, size=rows), minlength=rows)


def _paired(first: Pair, second: Pair) -> tuple[tuple[Scores, Scores], tuple[Scores, Scores]]:
    one, other = checked_scores(*first), checked_scores(*second)
    for side, a, b in zip(("ID", "OOD"), one, other, strict=True):
        if a.size != b.size:
            raise MetricError(f"{a.size} and {b.size} {side} scores: a paired test needs the same rows of both methods")
    return one, other
