"""Metrics as the FSSD code computes them (arXiv 2011.14654, megvii-research/FSSD_OoD_Detection, ``lib/metric``).

The rows are walked one by one from the highest score, so that tied rows enter in the order of a random permutation.
The authors draw a new permutation for each metric; here one serves all, which changes no metric's distribution and
keeps FPR and TNR complementary. The permutation is drawn over sorted rows: the result depends on the seed and on the
scores, not on the order of the rows.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from ood_bench.metrics.curve import checked_scores, trapezoid
from ood_bench.metrics.exact import rows_needed

DESCRIPTION: Final = (
    "FSSD code, positive class ID: rows are accepted one at a time from the highest score, ties in random order; AUROC "
    "and AUPR are trapezoids, AUPR starting at the first row without an anchor at recall 0; auprc is AUPR-in; FPR and "
    "TNR at the first row where the TPR reaches the level; detection accuracy is the best (TPR + TNR) / 2."
)


def metrics(id_scores: npt.ArrayLike, ood_scores: npt.ArrayLike, *, seed: int = 0) -> dict[str, float]:
    """The metrics of the FSSD tables, in percent.

    Args:
        id_scores: ``[N_id]``, higher means more in-distribution.
        ood_scores: ``[N_ood]``, likewise.
        seed: of the permutation that breaks ties.

    Returns:
        ``auroc, auprc, aupr_out, fpr95, fpr80, tnr95, tnr80, detection_accuracy``.
    """
    is_id = walk(id_scores, ood_scores, seed)
    tp, fp = np.cumsum(is_id), np.cumsum(~is_id)
    n_id, n_ood = int(tp[-1]), int(fp[-1])
    tpr, fpr = tp / n_id, fp / n_ood
    fpr95 = float(fpr[np.searchsorted(tp, rows_needed(0.95, n_id))])
    fpr80 = float(fpr[np.searchsorted(tp, rows_needed(0.8, n_id))])
    fractions = {
        "auroc": trapezoid(np.append(0.0, fpr), np.append(0.0, tpr)),
        "auprc": _unanchored_aupr(is_id),
        "aupr_out": _unanchored_aupr(~is_id[::-1]),
        "fpr95": fpr95,
        "fpr80": fpr80,
        "tnr95": 1 - fpr95,
        "tnr80": 1 - fpr80,
        "detection_accuracy": float((tpr + 1 - fpr).max()) / 2,
    }
    return {name: 100 * value for name, value in fractions.items()}


def walk(id_scores: npt.ArrayLike, ood_scores: npt.ArrayLike, seed: int = 0) -> npt.NDArray[np.bool_]:
    """Whether each row is ID, ``[N_id + N_ood]``, from the highest score down; tied rows in an order of the seed's."""
    ids, oods = checked_scores(id_scores, ood_scores)
    scores = np.concatenate((np.sort(ids), np.sort(oods)))
    shuffled = np.random.default_rng(seed).permutation(scores.size)
    order = shuffled[np.argsort(-scores[shuffled], kind="stable")]
    return order < ids.size


def _unanchored_aupr(positive: npt.NDArray[np.bool_]) -> float:
    """Trapezoid of precision over recall from the first row of the walk to the last."""
    tp = np.cumsum(positive)
    precision = tp / np.arange(1, positive.size + 1)
    return trapezoid(tp / tp[-1], precision)
