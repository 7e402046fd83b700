"""Metrics as OpenOOD v1.5 computes them by scikit-learn (arXiv 2306.09301, ``openood/evaluators/metrics.py``)."""

from typing import Final

import numpy as np
import numpy.typing as npt

from ood_bench.metrics import exact
from ood_bench.metrics.curve import Curve, trapezoid

DESCRIPTION: Final = (
    "OpenOOD v1.5 code, positive class OOD: every distinct score is a threshold; FPR95 is the share of ID rejected at "
    "the first point of scikit-learn's ROC curve, which leaves out points on a straight line, with a TPR of at least "
    "95 %; AUROC gives ties one half; AUPR is the trapezoid of precision over recall from recall 0 and precision 1 "
    "(AUPR-in: ID positive, AUPR-out: OOD positive)."
)


def metrics(id_scores: npt.ArrayLike, ood_scores: npt.ArrayLike) -> dict[str, float]:
    """The metrics of OpenOOD's tables, in percent.

    Args:
        id_scores: ``[N_id]``, higher means more in-distribution; OpenOOD's confidence.
        ood_scores: ``[N_ood]``, likewise.

    Returns:
        ``fpr95_ood_positive, auroc, aupr_in, aupr_out``.

    Raises:
        MetricError: if the scores cannot be ranked.
    """
    curve = Curve.of(id_scores, ood_scores)
    flipped = curve.flipped()
    fractions = {
        "fpr95_ood_positive": _fpr95(flipped),
        "auroc": exact.auroc(curve),
        "aupr_in": _aupr(curve),
        "aupr_out": _aupr(flipped),
    }
    return {name: 100 * value for name, value in fractions.items()}


def _fpr95(curve: Curve) -> float:
    """False positive rate at the first kept point whose TPR is at least 95 %."""
    tp, fp = curve.tp, curve.fp
    bends = np.logical_or(np.diff(tp, 2), np.diff(fp, 2))
    kept = np.flatnonzero(np.concatenate(([True], bends, [True]))) if len(tp) > 2 else np.arange(len(tp))
    first = int(np.searchsorted(tp[kept], exact.rows_needed(0.95, curve.n_id)))
    return int(fp[kept[first]]) / curve.n_ood


def _aupr(curve: Curve) -> float:
    """Area under the straight lines between the points of the precision-recall curve of the positive class."""
    recall = curve.tp / curve.n_id
    precision = curve.tp / (curve.tp + curve.fp)
    return trapezoid(np.append(0.0, recall), np.append(1.0, precision))
