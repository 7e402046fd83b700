"""A number from scores by any combination of rules, in percent."""

import numpy as np

from ood_bench.explain.ranked import Points, Ranked
from ood_bench.explain.rules import Asked, Rules
from ood_bench.metrics.curve import Counts, MetricError, Scores, trapezoid
from ood_bench.metrics.exact import rows_needed
from ood_bench.metrics.odin import rectangles

_HALF_WINDOW = 0.0005


def number(ranked: Ranked, wanted: Asked, rules: Rules) -> float:
    """A metric in percent.

    Args:
        ranked: the scores.
        wanted: the metric.
        rules: how it is computed.

    Raises:
        MetricError: if the scores do not fit the rules: ODIN's grid does not reach over them, or no point is within
            the window around the level.
    """
    if rules.draws != "all":
        fractions = [_fraction(one, wanted, rules) for one in ranked.draws]
        found = float(np.mean([1 - one if wanted.complement else one for one in fractions]))
        return 100 * found
    fraction = _fraction(ranked, wanted, rules)
    return 100 * (1 - fraction) if wanted.complement else 100 * fraction


def _fraction(ranked: Ranked, wanted: Asked, rules: Rules) -> float:
    if rules.official_grid is not None:
        ranked = ranked.probabilities
    if wanted.family == "aupr":
        side = "ood" if wanted.outside else "id"
        return _aupr(ranked.points(rules.thresholds, rules.ties, side, below=wanted.outside), rules)
    positive = rules.positive if wanted.family == "fpr" else "id"
    points = ranked.points(rules.thresholds, rules.ties, positive)
    fp = points.fp if rules.edge == "accepted" else points.fp_above
    if wanted.family == "fpr":
        return _fpr(points, fp, wanted.level, rules.cut)
    if wanted.family == "auroc":
        return _auroc(points, fp, rules.area)
    best = int((points.tp * points.negatives - fp * points.positives).max())
    return 0.5 + best / (2 * points.positives * points.negatives)


def _fpr(points: Points, fp: Counts, level: float, cut: str) -> float:
    """Share of negatives at the point of the level."""
    tp, positives = points.tp, points.positives
    if cut == "window":
        tpr, fpr = tp[::-1] / positives, fp[::-1] / points.negatives
        inside = (tpr >= level - _HALF_WINDOW) & (tpr <= level + _HALF_WINDOW)
        if not inside.any():
            raise MetricError(f"no point has a TPR within 0.05 points of {100 * level:g} %")
        return float(fpr[inside].mean())
    if cut.startswith("nearest"):
        last = len(tp) if cut == "nearest, last" else int(np.searchsorted(tp, positives)) + 1
        nearest = int(np.abs(tp[:last][::-1] / positives - level).argmin())
        return int(fp[:last][::-1][nearest]) / points.negatives
    if cut == "keeps":
        bends = np.logical_or(np.diff(tp, 2), np.diff(fp, 2))
        kept = np.flatnonzero(np.concatenate(([True], bends, [True]))) if len(tp) > 2 else np.arange(len(tp))
        tp, fp = tp[kept], fp[kept]
    return int(fp[np.searchsorted(tp, rows_needed(level, positives))]) / points.negatives


def _auroc(points: Points, fp: Counts, area: str) -> float:
    """Area under the ROC curve."""
    if area == "rectangles":
        return rectangles(fp[::-1] / points.negatives, points.tp[::-1] / points.positives)
    # Whole numbers below 2^53, so that the sum is exact; the last point accepts all, whatever lies on its edge.
    tp = np.append(points.tp, points.positives).astype(np.float64)
    false = np.append(fp, points.negatives).astype(np.float64)
    doubled = tp[0] * false[0] + np.dot(np.diff(false), tp[1:] + tp[:-1])
    return float(doubled) / (2 * points.positives * points.negatives)


def _aupr(points: Points, rules: Rules) -> float:
    """Area under precision over recall, of the points that accept any row."""
    some = points.tp + points.fp > 0
    tp, fp = points.tp[some], points.fp[some]
    recall = tp / points.positives
    rates = rules.balance == "rates"
    precision = recall / (recall + fp / points.negatives) if rates else tp / (tp + fp)
    if rules.area == "rectangles":
        return rectangles(recall[::-1], precision[::-1])
    if rules.area == "step":
        return _steps(recall, tp, precision)
    anchored = rules.area.startswith("precision")
    first = (0.0, float(rules.area.split()[1])) if anchored else (min(1 / points.positives, recall[0]), precision[0])
    return trapezoid(np.append(first[0], recall), np.append(first[1], precision))


def _steps(recall: Scores, tp: Counts, precision: Scores) -> float:
    """Average precision: each step of recall has the precision at its more accepting end."""
    start = int(np.searchsorted(tp, 1))
    recall, precision = recall[start:], precision[start:]
    return float(recall[0] * precision[0] + np.dot(np.diff(recall), precision[1:]))
