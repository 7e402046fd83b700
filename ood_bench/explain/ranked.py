"""Scores sorted once, and the points that every combination of rules reads its number from."""

from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ood_bench.metrics import fssd, mahalanobis, odin, outlier_exposure
from ood_bench.metrics.curve import Counts, Curve, checked_scores


class Points(NamedTuple):
    """Accepted rows, each ``[P]``, at ever more accepting thresholds; the last point accepts all.

    Attributes:
        tp: positive rows at or above the threshold.
        tp_above: positive rows above it.
        fp: negative rows at or above it.
        fp_above: negative rows above it.
    """

    tp: Counts
    tp_above: Counts
    fp: Counts
    fp_above: Counts

    @property
    def positives(self) -> int:
        """Number of positive rows."""
        return int(self.tp[-1])

    @property
    def negatives(self) -> int:
        """Number of negative rows."""
        return int(self.fp[-1])


class Ranked:
    """ID and OOD scores, sorted once; points are kept, so that many combinations of rules cost little.

    Args:
        ids: ``[N_id]``, higher means more in-distribution.
        oods: ``[N_ood]``, likewise.
    """

    def __init__(self, ids: npt.ArrayLike, oods: npt.ArrayLike) -> None:
        self.ids, self.oods = (np.sort(side) for side in checked_scores(ids, oods))
        self._points: dict[tuple[str, str, str, bool], Points] = {}

    @cached_property
    def probabilities(self) -> "Ranked":
        """The same scores as probabilities, where they are logarithms: none is above 0."""
        logarithms = max(self.ids[-1], self.oods[-1]) <= 0
        return Ranked(np.exp(self.ids), np.exp(self.oods)) if logarithms else self

    @cached_property
    def draws(self) -> list["Ranked"]:
        """Outlier Exposure's draws of OOD rows, each against all ID rows."""
        return [Ranked(self.ids, draw) for draw in outlier_exposure.draws(self.ids, self.oods)]

    def points(self, thresholds: str, ties: str, positive: str, *, below: bool = False) -> Points:
        """The points that thresholds and ties give.

        Args:
            thresholds: as in :class:`~ood_bench.explain.rules.Rules`.
            ties: likewise.
            positive: ``id`` or ``ood``.
            below: whether OOD rows count as found only below a threshold, and ODIN's grid is laid from its end, as its
                AUPR-out has it.
        """
        below = below and thresholds != "scores"
        key = (thresholds, ties if thresholds == "scores" else "", positive, below)
        if key not in self._points:
            found = self._of_scores(ties) if thresholds == "scores" else self._of_grid(thresholds, below=below)
            self._points[key] = _whole(
                found if positive == "id" else self._flipped(found, below=below), *self._sizes(positive)
            )
        return self._points[key]

    def _sizes(self, positive: str) -> tuple[int, int]:
        sizes = self.ids.size, self.oods.size
        return sizes if positive == "id" else sizes[::-1]

    def _of_scores(self, ties: str) -> Points:
        """ID positive: at every distinct score, or row by row."""
        if ties == "together":
            curve = Curve.of(self.ids, self.oods)
            tp, fp = curve.tp, curve.fp
        elif ties == "random":
            is_id = fssd.walk(self.ids, self.oods)
            tp, fp = np.cumsum(is_id), np.cumsum(~is_id)
        else:
            tp, fp = (counts[-2::-1] for counts in mahalanobis.accepted(self.ids, self.oods))
        return Points(tp, _before(tp), fp, _before(fp))

    def _of_grid(self, thresholds: str, *, below: bool) -> Points:
        """ID positive: at every point of a grid, from the highest."""
        words = thresholds.split()[1:]  # "data", or a row of ODIN's table and a number of classes
        grid = (
            odin.laid("data", "", None, self.ids, self.oods)
            if words == ["data"]
            else odin.laid("official", words[0], int(words[1]), self.ids, self.oods)
        )
        ascending = grid.down[::-1] if below else grid.up
        # Of a score it is known how many grid points it reaches, which takes less time than the reverse.
        ends: tuple[Literal["right", "left"], ...] = ("right", "left")
        places = (np.searchsorted(ascending, scores, end) for scores in (self.ids, self.oods) for end in ends)
        return Points(*(_reaching(one, len(ascending))[::-1] for one in places))

    def _flipped(self, points: Points, *, below: bool) -> Points:
        """The same points with OOD positive, whose scores are low."""
        n_id, n_ood = self.ids.size, self.oods.size
        if below:
            hits, others = n_ood - points.fp, n_id - points.tp
            return Points(*(counts[::-1] for counts in (hits, hits, others, others)))
        counts = n_ood - points.fp_above, n_ood - points.fp, n_id - points.tp_above, n_id - points.tp
        return Points(*(one[::-1] for one in counts))


def _reaching(places: Counts, points: int) -> Counts:
    """How many of some scores reach each of ``points`` ascending points, where each reaches the first ``places``."""
    return len(places) - np.cumsum(np.bincount(places, minlength=points + 1))[:points]


def _before(counts: Counts) -> Counts:
    return np.concatenate(([0], counts[:-1]))


def _whole(points: Points, positives: int, negatives: int) -> Points:
    """The points with a last one that accepts all rows."""
    if points.tp[-1] == positives and points.fp[-1] == negatives:
        return points
    ends = positives, positives, negatives, negatives
    return Points(*(np.append(counts, end) for counts, end in zip(points, ends, strict=True)))
