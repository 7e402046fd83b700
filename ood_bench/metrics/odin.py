"""Metrics as the official ODIN code computes them (arXiv 1706.02690, ``calMetric.py``): rates on a grid of thresholds.

The grid is fixed beforehand, one for each number of classes and each row of the table. It suits softmax maxima at T=1
(the MSP row) and T=1000 (the ODIN row) and nothing else: on other scores the official code returns meaningless
numbers without a word, so that they are refused here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ood_bench.metrics.curve import MetricError, Scores, checked_scores

DESCRIPTION: Final = (
    "Official ODIN code, positive class ID: rates on a grid of 100,000 thresholds; FPR95 is the mean over the grid "
    "points whose TPR is within 94.95 to 95.05 %; AUROC and AUPR are one-sided rectangle sums, AUPR from rates (both "
    "classes weighted equally); detection error is the least mean of ID below and OOD above a grid point."
)
POINTS: Final = 100_000
_OFFICIAL: Final[Mapping[tuple[str, int | None], tuple[float, float]]] = {
    ("msp", 10): (0.1, 1.0),
    ("msp", 100): (0.01, 1.0),
    ("odin", 10): (0.1, 0.12),
    ("odin", 100): (0.01, 0.0104),
}


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Thresholds going up from the start and, for AUPR-out, going down from the end."""

    up: Scores
    down: Scores


def metrics(
    id_scores: npt.ArrayLike, ood_scores: npt.ArrayLike, *, row: str, classes: int | None = None, grid: str = "official"
) -> dict[str, float]:
    """The metrics of the ODIN tables, in percent.

    Args:
        id_scores: ``[N_id]``, softmax maxima for the official grid.
        ood_scores: ``[N_ood]``, likewise.
        row: ``"msp"`` or ``"odin"``: chooses the grid, and AUROC's treatment of OOD rows that lie on a grid point.
        classes: 10 or 100, as the network; needed by the official grid only.
        grid: ``"official"``, or ``"data"`` for as many points between the lowest and the highest score. The latter is
            not what the authors did, but carries their formulas to any score.

    Returns:
        ``auroc, aupr_in, aupr_out, fpr95, detection_error``.

    Raises:
        MetricError: if the scores cannot be ranked or do not fit the grid, if no grid point has a TPR of about 95 %,
            or if an option is unknown.
    """
    if row not in ("msp", "odin"):
        raise MetricError(f"row is {row!r}: the official ODIN metrics know the rows 'msp' and 'odin'")
    ids, oods = (np.sort(scores) for scores in checked_scores(id_scores, ood_scores))
    return on_thresholds(ids, oods, laid(grid, row, classes, ids, oods), strict=row == "msp")


def on_official_grid(
    id_scores: npt.ArrayLike, ood_scores: npt.ArrayLike, *, row: str, classes: int | None = None
) -> bool:
    """Whether there is an official grid for this row and number of classes that reaches over all scores."""
    scores = np.concatenate(checked_scores(id_scores, ood_scores))
    return (row, classes) in _OFFICIAL and _covers(row, classes, scores.min(), scores.max())


def on_thresholds(ids: Scores, oods: Scores, points: Thresholds, *, strict: bool) -> dict[str, float]:
    """The authors' formulas on any thresholds, in percent.

    Args:
        ids: ID scores ``[N_id]``, ascending.
        oods: OOD scores ``[N_ood]``, ascending.
        points: the thresholds.
        strict: whether AUROC counts an OOD row as accepted only above a threshold, not on it.

    Raises:
        MetricError: if no threshold has a TPR of about 95 %.
    """
    kept = _at_or_above(ids, points.up)
    passed, touching = _above(oods, points.up), _at_or_above(oods, points.up)
    fractions = {
        "auroc": rectangles(passed if strict else touching, kept),
        "aupr_in": _aupr(kept, touching),
        "aupr_out": _aupr(1 - _at_or_above(oods, points.down), 1 - _at_or_above(ids, points.down)),
        "fpr95": _window_mean(kept, passed),
        "detection_error": min(1.0, float((1 - kept + passed).min()) / 2),
    }
    return {name: 100 * value for name, value in fractions.items()}


def laid(kind: str, row: str, classes: int | None, ids: Scores, oods: Scores) -> Thresholds:
    """The thresholds of a grid.

    Args:
        kind: ``official`` or ``data``.
        row: see :func:`metrics`; unused by the grid over the data, as the number of classes is.
        classes: likewise.
        ids: ID scores ``[N_id]``, ascending.
        oods: OOD scores ``[N_ood]``, ascending.

    Raises:
        MetricError: if there is no such grid, or the scores do not fit it.
    """
    low, high = float(min(ids[0], oods[0])), float(max(ids[-1], oods[-1]))
    if kind == "official":
        return _official_grid(row, classes, low, high)
    if kind != "data":
        raise MetricError(f"grid is {kind!r}: choose 'official' or 'data'")
    if not np.isfinite(high - low) or high == low:
        raise MetricError(f"no grid can be laid between the scores {low:g} and {high:g}: use the exact convention")
    up, down = (np.linspace(*ends, POINTS, endpoint=False) for ends in ((low, high), (high, low)))
    return Thresholds(up, down)


def _official_grid(row: str, classes: int | None, low: float, high: float) -> Thresholds:
    """The hard-coded grid, if the scores between ``low`` and ``high`` lie on it to within one step."""
    if (row, classes) not in _OFFICIAL:
        raise MetricError(f"no official ODIN grid for {classes} classes: set classes to 10 or 100, or grid='data'")
    start, end = _OFFICIAL[row, classes]
    if not _covers(row, classes, low, high):
        scores = "softmax maxima at T=1" if row == "msp" else "softmax maxima at T=1000 without overconfident logits"
        raise MetricError(
            f"the scores reach from {low:g} to {high:g}, but the official {row} grid for {classes} classes from "
            f"{start:g} to {end:g}: it holds for {scores}; set grid='data' or use the exact convention"
        )
    # The authors' own call: its rounding gives the last of the four grids one point more than POINTS.
    step = (end - start) / POINTS
    return Thresholds(np.arange(start, end, step), np.arange(end, start, -step))


def _covers(row: str, classes: int | None, low: float, high: float) -> bool:
    """Whether an official grid holds scores from ``low`` to ``high``, to within one step."""
    start, end = _OFFICIAL[row, classes]
    step = (end - start) / POINTS
    return bool(low >= start - step and high <= end + step)


def _at_or_above(ranked: Scores, points: Scores) -> Scores:
    """Share of ``ranked`` (ascending) at or above each grid point."""
    return (ranked.size - np.searchsorted(ranked, points, side="left")) / ranked.size


def _above(ranked: Scores, points: Scores) -> Scores:
    """Share of ``ranked`` (ascending) strictly above each grid point."""
    return (ranked.size - np.searchsorted(ranked, points, side="right")) / ranked.size


def rectangles(x: Scores, height: Scores) -> float:
    """Sum of rectangles under ``height`` while ``x`` falls from 1, each as high as its end, the last reaching 0."""
    widths = np.append(1.0, x[:-1]) - x
    return float(np.dot(widths, height) + x[-1] * height[-1])


def _aupr(hits: Scores, false_alarms: Scores) -> float:
    """Rectangle sum of precision over recall, both from rates, along points at which ever less is accepted."""
    accepting = hits + false_alarms > 0
    if not accepting.any():
        raise MetricError("every score lies on the edge of the ODIN grid: set grid='data' or use the exact convention")
    recall = hits[accepting]
    return rectangles(recall, recall / (recall + false_alarms[accepting]))


def _window_mean(tpr: Scores, fpr: Scores) -> float:
    window = (tpr >= 0.9495) & (tpr <= 0.9505)
    if not window.any():
        raise MetricError(
            "no point of the ODIN grid has a TPR between 94.95 and 95.05 %, so that its FPR95 does not exist: the ID "
            "scores are too heavily tied or too few (1,000 are always enough, below that a multiple of 20); score "
            "more ID rows or use the exact convention"
        )
    return float(fpr[window].mean())
