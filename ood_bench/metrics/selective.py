"""Metrics of classifying and rejecting together, as fractions: the scores must also find the wrong predictions.

A row *fails* if its prediction is wrong; in SCOD (selective classification with OOD detection) every OOD row fails
too. Rows are accepted from the highest score down. Tied rows come in every order equally often, so that no metric
depends on the order of rows. What each metric means, and where it comes from: docs/metrics.md.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from ood_bench.metrics import exact
from ood_bench.metrics.curve import Counts, Curve, MetricError, Scores, checked_scores, trapezoid

NAMES: Final = ("aurc", "augrc", "scod_aurc", "scod_augrc", "oscr", "auroc_correct", "auroc_wrong", "autc")


def metrics(
    id_scores: npt.ArrayLike, ood_scores: npt.ArrayLike, correct: npt.ArrayLike | None = None
) -> dict[str, float]:
    """The metrics of :data:`NAMES` in that order, without those that these rows do not define.

    Args:
        id_scores: ``[N_id]``, higher means more in-distribution.
        ood_scores: ``[N_ood]``, likewise.
        correct: bool ``[N_id]``, whether the classifier's prediction is right; without it there is AUTC alone.

    Returns:
        Fractions. ``auroc_correct`` needs a correct prediction, ``auroc_wrong`` a wrong one, and ``autc`` finite scores
        that are not all equal.

    Raises:
        MetricError: if the scores cannot be ranked, or ``correct`` is not a bool for each ID row.
    """
    ids, oods = checked_scores(id_scores, ood_scores)
    found: dict[str, float] = {}
    if correct is not None:
        curve, right = Curve.of(ids, oods), ids[_checked(correct, len(ids))]
        # How many of the accepted ID rows are predicted right, at each threshold.
        hits = len(right) - np.searchsorted(np.sort(right), curve.thresholds)
        misses, rejects = curve.tp - hits, curve.tp + curve.fp
        found |= {"aurc": aurc(curve.tp, misses), "augrc": augrc(curve.tp, misses)}
        found |= {"scod_aurc": aurc(rejects, misses + curve.fp), "scod_augrc": augrc(rejects, misses + curve.fp)}
        found["oscr"] = trapezoid(np.append(0, curve.fp) / curve.n_ood, np.append(0, hits) / curve.n_id)
        for name, counts in (("auroc_correct", hits), ("auroc_wrong", misses)):
            if rows := int(counts[-1]):
                found[name] = exact.auroc(Curve(curve.thresholds, counts, curve.fp, rows, curve.n_ood))
    area = autc(ids, oods)
    return found if area is None else found | {"autc": area}


def _checked(correct: npt.ArrayLike, rows: int) -> npt.NDArray[np.bool_]:
    array = np.asarray(correct)
    if array.shape != (rows,) or array.dtype != np.bool_:
        raise MetricError(f"correct is {array.dtype} {list(array.shape)}: give a bool for each of {rows} ID rows")
    return array


def aurc(accepted: Counts, failed: Counts) -> float:
    """Area under the risk-coverage curve: the mean, over k from 1 to N, of the share of failures among the first k.

    Args:
        accepted: int64 ``[T]``, rows with a score of at least each threshold, from the highest threshold down.
        failed: int64 ``[T]``, how many of them fail.
    """
    grows = np.diff(accepted, prepend=0) > 0
    first = np.arange(1, accepted[-1] + 1)
    # Straight between the ends of a run of ties: the expected number of failures over all orders of the run.
    expected = np.interp(first, np.append(0, accepted[grows]), np.append(0, failed[grows]))
    return float(np.mean(expected / first))


def augrc(accepted: Counts, failed: Counts) -> float:
    """Area under the generalised risk-coverage curve: accepted failures over all rows, over the coverage from 0 to 1.

    It is the chance that a failure is accepted at a threshold drawn from the rows. Arguments as of :func:`aurc`.
    """
    rows = accepted[-1]
    return trapezoid(np.append(0, accepted) / rows, np.append(0, failed) / rows)


def autc(id_scores: Scores, ood_scores: Scores) -> float | None:
    """Area under the threshold curve: the mean of FPR and FNR over all thresholds between lowest and highest score.

    Args:
        id_scores: float64 ``[N_id]``.
        ood_scores: float64 ``[N_ood]``.

    Returns:
        None where the scores span no finite range.
    """
    low = float(min(id_scores.min(), ood_scores.min()))
    high = float(max(id_scores.max(), ood_scores.max()))
    span = high - low
    if not 0 < span < math.inf:
        return None
    return float(np.mean((high - id_scores) / span) + np.mean((ood_scores - low) / span)) / 2
