"""Metrics of many resamples at once, in float32: close enough to tell which resamples end an interval.

Values are complements (1 minus the metric), because their error is relative then, and vanishes where sets are
separated. Resampled curves are read in blocks of thresholds, so that most of the work stays in the processor's cache.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from ood_bench.metrics.curve import Counts, Curve, Scores
from ood_bench.metrics.draws import Counted, Draws

_SUMMED: Final = 32  # rows that are summed in float32, before float64 takes over
_BLOCK: Final = 131_072  # values of a block
_ONES: Final = np.ones((1, _SUMMED), dtype=np.float32)

ERROR: Final = 2 * (_SUMMED + 8) * 2.0**-24
"""Bound of the relative error: a sum is rounded at each of its rows, each of them before that at most a few times, and
ties take away at most half of a sum."""


class _Steps(NamedTuple):
    """Thresholds that accept further rows of one side: accepted rows before and after, and of the other side."""

    before: Counts
    after: Counts
    other: Counts


@dataclass(frozen=True)
class Walk:
    """Where resampled curves are read.

    Attributes:
        ids: thresholds with ID rows, beside them the OOD rows accepted at that threshold.
        oods: thresholds with OOD rows, beside them the ID rows accepted before it.
        ties: thresholds with both: accepted ID rows before and after, accepted OOD rows before and after.
        corners: accepted ID and OOD rows where the best threshold of any resample lies.
    """

    ids: _Steps
    oods: _Steps
    ties: tuple[Counts, Counts, Counts, Counts]
    corners: tuple[Counts, Counts]

    @classmethod
    def over(cls, curve: Curve) -> "Walk":
        """The places where the curve of a resample can change."""
        tp, fp = curve.tp, curve.fp
        tp_before, fp_before = (np.concatenate(([0], counts[:-1])) for counts in (tp, fp))
        with_id, with_ood = tp > tp_before, fp > fp_before
        both = with_id & with_ood
        # Elsewhere the next threshold accepts more ID rows alone, or this one more OOD rows alone.
        corner = with_id & np.append(with_ood[1:], True)
        return cls(
            _Steps(tp_before[with_id], tp[with_id], fp[with_id]),
            _Steps(fp_before[with_ood], fp[with_ood], tp_before[with_ood]),
            (tp_before[both], tp[both], fp_before[both], fp[both]),
            (tp[corner], fp[corner]),
        )


def complements(walk: Walk, ids: Draws, oods: Draws) -> dict[str, Scores]:
    """1 minus AUROC, both average precisions and detection accuracy of each resample, ``[R]``, within :data:`ERROR`."""
    misplaced, loss_in = _sums(walk.ids, ids, oods, flipped=False)
    _, loss_out = _sums(walk.oods, oods, ids, flipped=True)
    misplaced -= _tied(walk, ids, oods) / 2
    return {
        "auroc": misplaced / (ids.rows * oods.rows),
        "aupr_in": loss_in / ids.rows,
        "aupr_out": loss_out / oods.rows,
        "detection_accuracy": _smallest_error(walk, ids, oods),
    }


def _sums(steps: _Steps, own: Draws, other: Draws, *, flipped: bool) -> tuple[Scores, Scores]:
    """Over all draws of one side, the sum of the other side's accepted draws, and of their share of all accepted ones.

    Args:
        steps: thresholds with rows of this side.
        own: this side's draws.
        other: the other side's.
        flipped: whether rows are accepted from the lowest score on.
    """
    columns = own.accepted.shape[1]
    rows = max(1, _BLOCK // columns // _SUMMED) * _SUMMED
    terms = np.zeros((rows, columns), dtype=np.float32)
    low, high, sizes = (np.empty_like(terms) for _ in range(3))
    sums: list[list[Counted]] = [[], []]
    for first in range(0, len(steps.after), rows):
        before, after, beside = (counts[first : first + rows] for counts in steps)
        count = len(after)
        lower, upper = _read(own, before, low[:count]), _read(own, after, high[:count])
        term, size = terms[:count], sizes[:count]
        np.take(other.accepted, beside, axis=0, out=term, mode="clip")
        if flipped:
            np.subtract(other.rows, term, out=term)
            np.subtract(term, lower, out=size)
            size += own.rows
        else:
            np.add(upper, term, out=size)
        term *= np.subtract(upper, lower, out=high[:count])
        terms[count:] = 0
        sums[0].append(_summed(terms))
        if size[-1 if flipped else 0].min() == 0:  # where nothing is accepted, the term is 0 as well
            np.maximum(size, 1, out=size)
        term /= size
        sums[1].append(_summed(terms))
    first_sum, second_sum = (np.concatenate(parts).sum(axis=0, dtype=np.float64) for parts in sums)
    return first_sum, second_sum


def _read(draws: Draws, places: Counts, buffer: Counted) -> Counted:
    """Accepted draws at some numbers of ranks, ``[P, R]``: as they lie where the numbers follow each other."""
    first, last = int(places[0]), int(places[-1])
    if last - first == len(places) - 1:
        return draws.accepted[first : last + 1]
    return np.take(draws.accepted, places, axis=0, out=buffer, mode="clip")


def _summed(terms: Counted) -> Counted:
    """Sums over each :data:`_SUMMED` rows of ``[P, R]``, for which P is a multiple of that."""
    return np.matmul(_ONES, terms.reshape(-1, _SUMMED, terms.shape[1]))[:, 0]


def _tied(walk: Walk, ids: Draws, oods: Draws) -> Scores:
    """Pairs of an ID and an OOD draw with one score."""
    found = np.zeros(ids.accepted.shape[1])
    rows = max(1, _BLOCK // len(found))
    for first in range(0, len(walk.ties[0]), rows):
        id_before, id_after, ood_before, ood_after = (counts[first : first + rows] for counts in walk.ties)
        drawn = ids.accepted[id_after] - ids.accepted[id_before]
        drawn *= oods.accepted[ood_after] - oods.accepted[ood_before]
        found += drawn.sum(axis=0, dtype=np.float64)
    return found


def _smallest_error(walk: Walk, ids: Draws, oods: Draws) -> Scores:
    """Smallest mean of rejected ID and accepted OOD."""
    columns = ids.accepted.shape[1]
    rows = max(1, _BLOCK // columns)
    found = np.full(columns, np.inf, dtype=np.float32)
    rejected, accepted = (np.empty((rows, columns), dtype=np.float32) for _ in range(2))
    for first in range(0, len(walk.corners[0]), rows):
        tp, fp = (counts[first : first + rows] for counts in walk.corners)
        error, other = rejected[: len(tp)], accepted[: len(tp)]
        np.take(ids.accepted, tp, axis=0, out=error, mode="clip")
        np.take(oods.accepted, fp, axis=0, out=other, mode="clip")
        np.subtract(ids.rows, error, out=error)
        other *= np.float32(ids.rows / oods.rows)
        error += other
        np.minimum(found, error.min(axis=0), out=found)
    return found.astype(np.float64) / (2 * ids.rows)
