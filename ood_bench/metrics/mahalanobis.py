"""Metrics as the Mahalanobis code computes them (arXiv 1807.03888, ``calculate_log.py``), and so the GODIN port.

The threshold rises from below all rows to above them, one row at a time, and of tied rows the ID rows are rejected
first. The precision-recall areas carry anchors at both ends, of which only one has any weight: the anchor of 0.5 sits
where recall is already 1, and the one at recall 0 is a precision of **0**, which costs half of the first step.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from ood_bench.metrics.curve import Counts, checked_scores, trapezoid

DESCRIPTION: Final = (
    "Mahalanobis code (also the GODIN port), positive class ID: rows are rejected one at a time from the lowest score, "
    "tied ID rows before tied OOD rows; TNR95 at the point whose TPR is nearest to 95 % (the one that accepts most OOD "
    "among equals); AUPR are trapezoids that start from precision 0 at recall 0."
)


def metrics(id_scores: npt.ArrayLike, ood_scores: npt.ArrayLike) -> dict[str, float]:
    """The metrics of the Mahalanobis tables, in percent: ``auroc, aupr_in, aupr_out, tnr95, detection_accuracy``."""
    tp, fp = accepted(id_scores, ood_scores)
    tpr, tnr = tp / tp[0], 1 - fp / fp[0]
    # Written as the authors wrote it, rounding included: two points may be equally far from 0.95.
    nearest = int(np.abs(tpr - 0.95).argmin())
    fractions = {
        "auroc": -trapezoid(tpr, tnr),
        "aupr_in": _zero_anchored_aupr(tp[::-1], fp[::-1]),
        "aupr_out": _zero_anchored_aupr(fp[0] - fp, tp[0] - tp),
        "tnr95": float(tnr[nearest]),
        "detection_accuracy": float((tpr + tnr).max()) / 2,
    }
    return {name: min(100.0, 100 * value) for name, value in fractions.items()}  # rounding may go beyond


def accepted(id_scores: npt.ArrayLike, ood_scores: npt.ArrayLike) -> tuple[Counts, Counts]:
    """ID rows and OOD rows still accepted, each ``[N_id + N_ood + 1]``, after 0, 1, 2... rows were rejected."""
    ids, oods = checked_scores(id_scores, ood_scores)
    order = np.argsort(np.concatenate((ids, oods)), kind="stable")  # stable: tied ID rows stay ahead of OOD rows
    is_id = order < ids.size
    tp = ids.size - np.append(0, np.cumsum(is_id))
    fp = oods.size - np.append(0, np.cumsum(~is_id))
    return tp, fp


def _zero_anchored_aupr(hits: Counts, false_alarms: Counts) -> float:
    """Trapezoid of precision over recall for counts that start at zero; precision is 0 where nothing is accepted."""
    precision = hits / np.maximum(hits + false_alarms, 1)
    return trapezoid(hits / hits[-1], precision)
