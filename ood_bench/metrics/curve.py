"""The curve that every exact metric is read from: counts of accepted rows at each distinct threshold."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ood_bench.errors import OodBenchError

Scores = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class MetricError(OodBenchError):
    """Scores that no metric can be computed from, or a metric convention that does not fit them."""


def checked_scores(id_scores: npt.ArrayLike, ood_scores: npt.ArrayLike) -> tuple[Scores, Scores]:
    """Both score arrays as float64 ``[N]``, refused where they cannot be ranked.

    Args:
        id_scores: ``[N_id]``, higher means more in-distribution; infinities are ordinary extreme values.
        ood_scores: ``[N_ood]``, likewise.

    Raises:
        MetricError: if an array is empty, not one-dimensional, or holds NaN.
    """
    return _checked("ID", id_scores), _checked("OOD", ood_scores)


def _checked(side: str, scores: npt.ArrayLike) -> Scores:
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 1:
        raise MetricError(f"{side} scores have shape {array.shape}: give one score a row, shape [N]")
    if array.size == 0:
        raise MetricError(f"there are no {side} scores: a metric needs rows of both ID and OOD")
    if missing := int(np.isnan(array).sum()):
        raise MetricError(f"{missing} of {array.size} {side} scores are NaN, which has no rank: correct the method")
    return array


@dataclass(frozen=True, eq=False)
class Curve:
    """How many rows are accepted as ID at each threshold; ID is the positive class.

    Rows with equal scores share a threshold, so that ties are exact and no metric depends on row order.

    Attributes:
        thresholds: float64 ``[T]``, distinct scores, descending.
        tp: int64 ``[T]``, ID rows with score >= threshold.
        fp: int64 ``[T]``, OOD rows with score >= threshold.
        n_id: number of ID rows.
        n_ood: number of OOD rows.
    """

    thresholds: Scores
    tp: Counts
    fp: Counts
    n_id: int
    n_ood: int

    @classmethod
    def of(cls, id_scores: npt.ArrayLike, ood_scores: npt.ArrayLike) -> "Curve":
        """Builds the curve with a single sort.

        Args:
            id_scores: ``[N_id]``, higher means more in-distribution.
            ood_scores: ``[N_ood]``, likewise.

        Raises:
            MetricError: if an array is empty, not one-dimensional, or holds NaN.

        >>> curve = Curve.of([3.0, 2.0], [2.0, 1.0])
        >>> curve.thresholds.tolist(), curve.tp.tolist(), curve.fp.tolist()
        ([3.0, 2.0, 1.0], [1, 2, 2], [0, 1, 2])
        """
        ids, oods = checked_scores(id_scores, ood_scores)
        scores = np.concatenate((ids, oods))
        order = np.argsort(scores)[::-1]
        ranked = scores[order]
        # Compared, not subtracted: the difference of two equal infinities is NaN.
        last_of_tie = np.append(ranked[1:] != ranked[:-1], True)
        accepted = np.flatnonzero(last_of_tie) + 1
        tp = np.cumsum(order < ids.size, dtype=np.int64)[accepted - 1]
        return cls(ranked[last_of_tie], tp, accepted - tp, ids.size, oods.size)

    def flipped(self) -> "Curve":
        """The curve of the negated scores with OOD as the positive class: ``tp`` then counts detected OOD rows."""
        detected = self.n_ood - np.concatenate(([0], self.fp[:-1]))
        rejected = self.n_id - np.concatenate(([0], self.tp[:-1]))
        return Curve(-self.thresholds[::-1], detected[::-1], rejected[::-1], self.n_ood, self.n_id)


def trapezoid(x: Scores, y: Scores) -> float:
    """Area under the straight lines through the points ``(x, y)``, both ``[P]``; negative where ``x`` falls."""
    return float(np.dot(np.diff(x), y[1:] + y[:-1])) / 2
