"""Exact metrics of a curve, as fractions: every distinct score is a threshold, ties are shared, nothing is binned.

ID is the positive class unless a name says otherwise. The functions also take the curve of a bootstrap resample, in
which a threshold may have been drawn by no row: such a threshold adds nothing to any of them.
"""

import functools
import math
from fractions import Fraction
from typing import Final

import numpy as np

from ood_bench.metrics.curve import Curve, MetricError

DESCRIPTION: Final = (
    "Exact, positive class ID: every distinct score is a threshold and tied rows are accepted together; AUROC gives "
    "ties one half, AUPR is average precision (AUPR-out: OOD positive), FPR and TNR are taken at the first threshold "
    "whose TPR reaches the level, detection error and accuracy at the best threshold with both classes weighted "
    "equally; fpr95_ood_positive is the share of ID rejected at the first threshold that detects 95 % of OOD."
)
NAMES: Final = (
    "auroc",
    "aupr_in",
    "aupr_out",
    "fpr95",
    "fpr80",
    "tnr95",
    "tnr80",
    "detection_error",
    "detection_accuracy",
    "fpr95_ood_positive",
)


def auroc(curve: Curve) -> float:
    """Probability that an ID row scores above an OOD row, a tie counting one half."""
    # In float64 these are still whole numbers below 2^53, and the dot product is several times faster.
    tp, fp = curve.tp.astype(np.float64), curve.fp.astype(np.float64)
    doubled = tp[0] * fp[0] + np.dot(fp[1:] - fp[:-1], tp[1:] + tp[:-1])
    return float(doubled) / (2 * curve.n_id * curve.n_ood)


def aupr_in(curve: Curve) -> float:
    """Average precision with ID as the positive class, as scikit-learn defines it: a step sum, no interpolation."""
    start = int(np.searchsorted(curve.tp, 1))  # earlier thresholds accept no ID row and have no weight
    tp, fp = curve.tp[start:].astype(np.float64), curve.fp[start:]
    precision = tp / (tp + fp)
    steps = tp[0] * precision[0] + np.dot(tp[1:] - tp[:-1], precision[1:])
    return float(steps) / curve.n_id


def aupr_out(curve: Curve) -> float:
    """Average precision with OOD as the positive class, ranked by the negated score."""
    return aupr_in(curve.flipped())


@functools.lru_cache(maxsize=64)
def rows_needed(level: float, rows: int) -> int:
    """Smallest number of ``rows`` that is a share of at least ``level``.

    The level is taken as the decimal number it is written as: 95 % of 9,000 rows are 8,550, free of rounding.

    Raises:
        MetricError: if ``level`` is not above 0 and at most 1.

    >>> rows_needed(0.95, 9000)
    8550
    """
    if not 0 < level <= 1:
        raise MetricError(f"the level {level} is not a fraction: give a value above 0 and at most 1, as in 0.95")
    return math.ceil(Fraction(str(float(level))) * rows)


def fpr_at_tpr(curve: Curve, tpr: float) -> float:
    """Share of OOD accepted at the first threshold, from the top, that accepts at least ``tpr`` of ID.

    Raises:
        MetricError: if ``tpr`` is not above 0 and at most 1.
    """
    first = int(np.searchsorted(curve.tp, rows_needed(tpr, curve.n_id)))
    return int(curve.fp[first]) / curve.n_ood


def detection_accuracy(curve: Curve) -> float:
    """Best mean of TPR and TNR over the thresholds."""
    # Over a common denominator the search is exact, whatever the counts.
    best = int((curve.tp * curve.n_ood - curve.fp * curve.n_id).max())
    return 0.5 + best / (2 * curve.n_id * curve.n_ood)


def metrics(curve: Curve) -> dict[str, float]:
    """Every exact metric as a fraction, keyed by :data:`NAMES` in that order.

    ``fpr95_ood_positive`` is what OpenOOD v1.5 and pytorch-ood call FPR@95: it looks at the other tail than ``fpr95``.
    """
    flipped = curve.flipped()
    fpr95, fpr80, accuracy = fpr_at_tpr(curve, 0.95), fpr_at_tpr(curve, 0.8), detection_accuracy(curve)
    values = (
        auroc(curve),
        aupr_in(curve),
        aupr_in(flipped),
        fpr95,
        fpr80,
        1 - fpr95,
        1 - fpr80,
        1 - accuracy,
        accuracy,
        fpr_at_tpr(flipped, 0.95),
    )
    return dict(zip(NAMES, values, strict=True))
