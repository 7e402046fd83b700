"""Metrics as Outlier Exposure's code computes them: OOD is positive, in several draws of a fifth of ID's size."""

from typing import Final

import numpy as np
import numpy.typing as npt

from ood_bench.metrics import exact
from ood_bench.metrics.curve import Curve, Scores, checked_scores
from ood_bench.metrics.featurenorm import fpr_at_nearest_recall

_SHARE = 5
_DRAWS = 10
DESCRIPTION: Final = (
    "Outlier Exposure code, positive class OOD: means over ten random draws of one OOD row for every five ID rows; "
    "AUROC with ties one half, average precision of OOD (auprc_out_ratio_1to5), and the share of ID rows that are "
    "flagged at the distinct score whose OOD recall is nearest to 95 %, above or below (fpr95_ood_positive)."
)


def metrics(id_scores: npt.ArrayLike, ood_scores: npt.ArrayLike, *, seed: int = 0) -> dict[str, float]:
    """The metrics of Outlier Exposure's logs, in percent.

    The authors shuffle the OOD rows anew for each draw, without a seed. Where there are no more OOD rows than one draw
    takes, all of them are used once. The draws come from sorted rows, so that the order of the rows does not matter.

    Args:
        id_scores: ``[N_id]``, higher means more in-distribution.
        ood_scores: ``[N_ood]``, likewise.
        seed: of the draws.

    Returns:
        ``auroc, auprc_out_ratio_1to5, fpr95_ood_positive``.
    """
    ids, oods = checked_scores(id_scores, ood_scores)
    found = [of_draw(ids, draw) for draw in draws(ids, oods, seed)]
    return {name: 100 * float(np.mean([one[name] for one in found])) for name in found[0]}


def draws(ids: Scores, oods: Scores, seed: int = 0) -> list[Scores]:
    """The OOD scores of each draw, ``[N_id // 5]``; all of them, once, where there are no more."""
    count = max(1, ids.size // _SHARE)
    if oods.size <= count:
        return [np.sort(oods)]
    ranked, random = np.sort(oods), np.random.default_rng(seed)
    return [random.choice(ranked, count, replace=False) for _ in range(_DRAWS)]


def of_draw(ids: npt.ArrayLike, oods: npt.ArrayLike) -> dict[str, float]:
    """The same metrics of all given rows, as fractions: one draw."""
    curve = Curve.of(ids, oods)
    return {
        "auroc": exact.auroc(curve),
        "auprc_out_ratio_1to5": exact.aupr_out(curve),
        "fpr95_ood_positive": fpr_at_nearest_recall(curve.flipped(), 0.95),
    }
