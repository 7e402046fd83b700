"""Threshold transfer: what a threshold that is set on some ID rows gives on other rows.

FPR95 sets its threshold on the very rows that it is measured on. In use it is set beforehand, on ID validation rows;
then neither is the TPR 95 %, nor the FPR that of the table.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ood_bench.metrics.curve import Scores, checked_scores
from ood_bench.metrics.exact import rows_needed

NAMES: Final = ("tpr95_transferred", "fpr95_transferred")
_LEVEL = 0.95


class Rate(NamedTuple):
    """A share of rows with its 95 % interval, as fractions."""

    value: float
    low: float
    high: float


def transferred(
    validation: npt.ArrayLike, id_scores: npt.ArrayLike, ood_scores: npt.ArrayLike, tpr: float = _LEVEL
) -> tuple[Rate, Rate]:
    """TPR and FPR of the highest threshold that accepts at least ``tpr`` of the validation rows; ties are accepted.

    The intervals are those of the threshold as it is: they hold for other rows like these, not for another validation.

    Args:
        validation: scores ``[V]`` of ID rows, higher means more in-distribution.
        id_scores: ``[N_id]``, of other ID rows.
        ood_scores: ``[N_ood]``.
        tpr: share of the validation rows that is to be accepted.

    Raises:
        MetricError: if there are no rows, scores are NaN, or ``tpr`` is not above 0 and at most 1.
    """
    rows, oods = checked_scores(validation, ood_scores)
    ids, _ = checked_scores(id_scores, ood_scores)
    threshold = np.sort(rows)[-rows_needed(tpr, len(rows))]
    of_ids, of_oods = (rate(int((scores >= threshold).sum()), len(scores)) for scores in (ids, oods))
    return of_ids, of_oods


def halves(id_scores: Scores) -> tuple[Scores, Scores]:
    """Validation rows and test rows of one ID set ``[N]``: every second row from the first on, and those between.

    Sets that are sorted by class have every class in both halves.
    """
    return id_scores[::2], id_scores[1::2]


def rate(hits: int, rows: int) -> Rate:
    """``hits / rows`` with its Clopper-Pearson interval.

    That one covers the true rate in at least 95 % of cases whatever the rate and the number of rows, also close to 0
    and 1, where rates of good detectors lie and Wilson's interval may cover less.
    """
    from scipy.special import betaincinv  # noqa: PLC0415 - reading records needs none of it

    tail = (1 - _LEVEL) / 2
    low = float(betaincinv(hits, rows - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, rows - hits, 1 - tail)) if hits < rows else 1.0
    return Rate(hits / rows, low, high)
