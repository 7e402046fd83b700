"""Metrics as the FeatureNorm code computes them, with the helper that it took over from Outlier Exposure.

Among the distinct scores the helper takes the one whose recall is nearest to 0.95, above or below, and looks through
them from full recall downwards: equally near recalls go to the higher one, and among thresholds with the same recall
the lowest wins, so that OOD rows between two ID rows count as accepted.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from ood_bench.metrics import exact
from ood_bench.metrics.curve import Curve

DESCRIPTION: Final = (
    "FeatureNorm code (Outlier Exposure helper), positive class ID: AUROC with ties one half, average precision, and "
    "FPR95 at the distinct score whose recall is nearest to 95 %, above or below (the one that accepts most OOD among "
    "equals); all OOD rows are used."
)


def metrics(id_scores: npt.ArrayLike, ood_scores: npt.ArrayLike) -> dict[str, float]:
    """The metrics of the FeatureNorm tables, in percent: ``auroc, aupr_in, fpr95``."""
    curve = Curve.of(id_scores, ood_scores)
    fractions = {
        "auroc": exact.auroc(curve),
        "aupr_in": exact.aupr_in(curve),
        "fpr95": fpr_at_nearest_recall(curve, 0.95),
    }
    return {name: 100 * value for name, value in fractions.items()}


def fpr_at_nearest_recall(curve: Curve, level: float) -> float:
    """False-positive rate, a fraction, at the distinct score of a curve whose recall is nearest to ``level``."""
    full = int(np.searchsorted(curve.tp, curve.n_id))  # lower thresholds than this repeat a recall of 1
    recall = curve.tp[full::-1] / curve.n_id
    # Written as the authors wrote it, rounding included: two recalls may be equally far from the level.
    nearest = int(np.abs(recall - level).argmin())
    return int(curve.fp[full::-1][nearest]) / curve.n_ood
