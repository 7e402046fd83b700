"""Metrics as the unofficial ELOC code computes them (arXiv 1809.03576): ODIN's formulas on the scores themselves."""

from typing import Final

import numpy as np
import numpy.typing as npt

from ood_bench.metrics.curve import checked_scores
from ood_bench.metrics.odin import Thresholds, on_thresholds

DESCRIPTION: Final = (
    "Unofficial ELOC code, positive class ID: ODIN's formulas with every distinct score as a threshold; FPR95 is the "
    "mean over the thresholds whose TPR is within 94.95 to 95.05 %; AUROC and AUPR are one-sided rectangle sums, AUPR "
    "from rates (both classes weighted equally); detection error is the least mean of ID below, OOD above a threshold."
)


def metrics(id_scores: npt.ArrayLike, ood_scores: npt.ArrayLike) -> dict[str, float]:
    """The metrics of the leave-out ensemble's tables, in percent.

    Returns:
        ``auroc, aupr_in, aupr_out, fpr95, detection_error``.

    Raises:
        MetricError: if the scores cannot be ranked, or no threshold has a TPR of about 95 %.
    """
    ids, oods = (np.sort(scores) for scores in checked_scores(id_scores, ood_scores))
    ascending = np.unique(np.concatenate([ids, oods]))
    return on_thresholds(ids, oods, Thresholds(ascending, ascending[::-1]), strict=True)
