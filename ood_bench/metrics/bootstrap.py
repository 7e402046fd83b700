"""Percentile bootstrap intervals of the exact metrics.

ID and OOD rows are resampled separately, each to its own size, since both counts are fixed by the protocol. The rows
are ranked once: a resample is a set of draw counts per rank, whose running sums, read at the thresholds of the
original curve, are a curve again.

An interval's end lies between two resamples' values. So all resamples are measured together in float32
(:mod:`~ood_bench.metrics.screening`), and those few that may be one of the two, given the bound of its rounding, once
more by the very functions of :mod:`~ood_bench.metrics.exact`: the interval is that of exact values, to the bit.

The intervals speak of the rows only, not of other training seeds. For metrics that are an optimum over thresholds
(detection error and accuracy) a resample is optimistic, so that on small sets their interval lies to the good side of
the value.

Cost of 1,000 resamples on one core (AMD EPYC, NumPy 2.4): 0.05 s for 9,000 + 9,000 rows, 0.1 s for 9,000 + 26,032,
where draws of as many rows are at hand; making them takes 0.015 s for each 1,000 rows, once for all methods. Those of
more than 18,000 rows of a side are kept packed, those of more than 145,000 rows in all not at all. At most 145 MB are
kept, beside 1 kB a row of the resamples at hand.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from ood_bench.metrics import exact
from ood_bench.metrics.curve import Curve, MetricError, Scores
from ood_bench.metrics.draws import CHUNK, Draws, DrawStore, State, accepted_draws, generator_in
from ood_bench.metrics.screening import ERROR, Walk, complements

ENDS: Final = ((1 - 0.95) / 2, (1 + 0.95) / 2)
"""Shares of the resamples below the two ends of an interval."""

_SCREENED: Final[Mapping[str, Callable[[Curve], float]]] = {
    "auroc": exact.auroc,
    "aupr_in": exact.aupr_in,
    "aupr_out": exact.aupr_out,
    "detection_accuracy": exact.detection_accuracy,
}
_RATES: Final = {"fpr95": 0.95, "fpr80": 0.8}
_OPPOSITES: Final = {"tnr95": "fpr95", "tnr80": "fpr80", "detection_error": "detection_accuracy"}
_DRAWS: Final = DrawStore()

States = tuple[State, State]
"""Of the generators that draw ID and OOD ranks."""


def resample(curve: Curve, ids: np.random.Generator, oods: np.random.Generator) -> Curve:
    """The curve of one stratified resample, on the thresholds of ``curve``; some may have been drawn by no row.

    Args:
        curve: of the original rows.
        ids: draws ``n_id`` ranks among the ID rows, rank 0 being the highest score.
        oods: draws ``n_ood`` ranks among the OOD rows.
    """
    tp = accepted_draws(curve.n_id, ids)[curve.tp]
    fp = accepted_draws(curve.n_ood, oods)[curve.fp]
    return Curve(curve.thresholds, tp, fp, curve.n_id, curve.n_ood)


def intervals(curve: Curve, *, resamples: int = 1000, seed: int = 0) -> dict[str, tuple[float, float]]:
    """95 % percentile intervals of the exact metrics, in percent; they depend on scores and seed, not on row order.

    Args:
        curve: of the original rows.
        resamples: number of bootstrap resamples.
        seed: of the draws.

    Returns:
        ``(low, high)`` for each name of :data:`ood_bench.metrics.exact.NAMES`.

    Raises:
        MetricError: if ``resamples`` is below 1.
    """
    if resamples < 1:
        raise MetricError(f"{resamples} resamples make no interval: set at least 1, better 1000")
    walk, states = Walk.over(curve), _first_states(seed)
    starts = range(0, resamples, CHUNK)
    parts = [_chunk(walk, curve, seed, range(first, min(first + CHUNK, resamples)), states) for first in starts]
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    found |= _refined(curve, {name: found[name] for name in _SCREENED}, states)
    for name, opposite in _OPPOSITES.items():
        found[name] = 1 - found[opposite]
    low, high = 100 * np.quantile([found[name] for name in exact.NAMES], ENDS, axis=1)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(exact.NAMES)}


def forget() -> None:
    """Frees the draws that are kept for the next curve."""
    _DRAWS.clear()


def _first_states(seed: int) -> list[States]:
    """The states of both sides' generators before the first resample."""
    ids, oods = np.random.default_rng(seed).spawn(2)
    return [(ids.bit_generator.state, oods.bit_generator.state)]


def _chunk(walk: Walk, curve: Curve, seed: int, numbers: range, states: list[States]) -> dict[str, Scores]:
    """Losses by screening, and rates, of some resamples; the states of the generators after each go to ``states``."""
    sides = zip((curve.n_id, curve.n_ood), (0, 1), states[-1], strict=True)
    ids, oods = (_DRAWS.chunk((rows, seed, side, numbers.start, len(numbers)), state) for rows, side, state in sides)
    states += zip(ids.states[1:], oods.states[1:], strict=True)
    return complements(walk, ids, oods) | _rates(curve, ids, oods)


def _rates(curve: Curve, ids: Draws, oods: Draws) -> dict[str, Scores]:
    """What the metrics at a rate of accepted rows are in each resample, ``[R]``, exactly."""
    columns = np.arange(ids.accepted.shape[1])
    accepted = {name: curve.fp[np.searchsorted(curve.tp, ids.reached[level])] for name, level in _RATES.items()}
    found = {name: oods.accepted[places, columns].astype(np.float64) / oods.rows for name, places in accepted.items()}
    tp, fp = (np.concatenate(([0], counts[:-1])) for counts in (curve.tp, curve.fp))
    kept = ids.accepted[tp[np.searchsorted(fp, oods.left[0.95], side="right") - 1], columns]
    return found | {"fpr95_ood_positive": (ids.rows - kept.astype(np.float64)) / ids.rows}


def _refined(curve: Curve, losses: Mapping[str, Scores], states: Sequence[States]) -> dict[str, Scores]:
    """Metrics by name, ``[R]``, exact at each end of an interval; elsewhere only so that their order there is right.

    Args:
        curve: of the original rows.
        losses: 1 minus each metric, up to the error of screening.
        states: of both generators before each resample.
    """
    near = {name: _near_an_end(loss) for name, loss in losses.items()}
    found = {name: 1 - loss for name, loss in losses.items()}
    for number in map(int, np.flatnonzero(np.any(list(near.values()), axis=0))):
        drawn = resample(curve, *map(generator_in, states[number]))
        for name, metric in _SCREENED.items():
            if near[name][number]:
                found[name][number] = metric(drawn)
    return found


def _near_an_end(loss: Scores) -> npt.NDArray[np.bool_]:
    """Which resamples may be one of the two around an end of the interval, given the error of screening."""
    ordered, last = np.sort(loss), len(loss) - 1
    below = int(ENDS[0] * last)
    near = np.zeros(len(loss), dtype=bool)
    for one, other in ((below, min(below + 1, last)), (max(last - below - 1, 0), last - below)):
        near |= (loss >= ordered[one] * (1 - 3 * ERROR)) & (loss <= ordered[other] * (1 + 3 * ERROR))
    return near & (loss > 0)  # 0 is exact
