"""A metric convention as independent choices, and each paper's convention taken apart into them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, NamedTuple

from ood_bench.metrics import convention_named, exact
from ood_bench.metrics.curve import MetricError

Family = Literal["fpr", "auroc", "aupr", "detection"]


class Asked(NamedTuple):
    """A metric as a family with its parameters.

    Attributes:
        family: what kind of number it is.
        level: share of positives that a false positive rate is taken at; 0 for other families.
        outside: whether OOD is the positive class of an AUPR.
        complement: whether 100 minus the family's number is shown (TNR, detection error).
    """

    family: Family
    level: float = 0.0
    outside: bool = False
    complement: bool = False


_NAMES: Final[Mapping[str, Asked]] = {
    "auroc": Asked("auroc"),
    "aupr_in": Asked("aupr"),
    "auprc": Asked("aupr"),
    "aupr_out": Asked("aupr", outside=True),
    "auprc_out_ratio_1to5": Asked("aupr", outside=True),
    "detection_accuracy": Asked("detection"),
    "detection_error": Asked("detection", complement=True),
}
_RATE = re.compile(r"(fpr|tnr)(\d\d)(_ood_positive)?")


def asked(metric: str) -> Asked:
    """The family and parameters of a metric's name.

    Raises:
        MetricError: if it is none that conventions compute.

    >>> asked("tnr95")
    Asked(family='fpr', level=0.95, outside=False, complement=True)
    """
    if (rate := _RATE.fullmatch(metric)) is not None:
        return Asked("fpr", int(rate[2]) / 100, complement=rate[1] == "tnr")
    if metric not in _NAMES:
        raise MetricError(f"no metric {metric!r} can be explained", f"choose fpr95, tnr95, {', '.join(_NAMES)}")
    return _NAMES[metric]


@dataclass(frozen=True)
class Rules:
    """How scores become one number; each field is one choice, and every combination is defined.

    Attributes:
        draws: ``all`` OOD rows, or ``1 in 5``: the mean over ten draws of one OOD row for every five ID rows.
        positive: which class a false positive rate is asked of: ``id`` or ``ood``.
        thresholds: ``scores`` (every distinct score), ``grid data`` (100,000 between the lowest and the highest), or
            one of ODIN's own grids, such as ``grid msp 10``.
        ties: tied rows are accepted ``together``, one by one in ``random`` order, or so that ID rows are rejected
            before OOD rows (``id first``). On a grid it makes no difference.
        edge: whether a negative row whose score is the threshold is ``accepted`` or ``rejected``; not for AUPR.
        cut: where a false positive rate is read: at the ``first`` point that reaches the level; the first of those
            points that scikit-learn's ROC curve ``keeps``; the ``nearest`` point; the nearest, of several with full
            recall the last (``nearest, last``); or the mean over the ``window`` of 0.05 points around the level.
        area: ``trapezoid`` or ``rectangles`` under a ROC curve; an AUPR's is a ``step`` sum (average precision), the
            ``trapezoid`` from the recall of one row on, from ``precision 0`` or ``precision 1`` at recall 0,
            or ``rectangles``.
        balance: whether precision is a ratio of ``counts``, or of ``rates`` (both classes weighted equally).
    """

    draws: str = "all"
    positive: str = "id"
    thresholds: str = "scores"
    ties: str = "together"
    edge: str = "accepted"
    cut: str = "first"
    area: str = "trapezoid"
    balance: str = "counts"

    @property
    def official_grid(self) -> tuple[str, int] | None:
        """Row and number of classes of one of ODIN's own grids, if thresholds are such."""
        words = self.thresholds.split()
        return (words[1], int(words[2])) if len(words) == 3 else None


RELEVANT: Final[Mapping[Family, tuple[str, ...]]] = {
    "fpr": ("draws", "positive", "thresholds", "ties", "edge", "cut"),
    "auroc": ("draws", "thresholds", "ties", "edge", "area"),
    "aupr": ("draws", "thresholds", "ties", "area", "balance"),
    "detection": ("draws", "thresholds", "ties", "edge"),
}
"""The choices that have an effect on a family's numbers."""

_RATES: Final = ("auroc", "aupr_in", "aupr_out", "fpr95", "detection_error")
METRICS: Final[Mapping[str, tuple[str, ...]]] = {
    "exact": exact.NAMES,
    "fssd": ("auroc", "auprc", "aupr_out", "fpr95", "fpr80", "tnr95", "tnr80", "detection_accuracy"),
    "mahalanobis": ("auroc", "aupr_in", "aupr_out", "tnr95", "detection_accuracy"),
    "featurenorm": ("auroc", "aupr_in", "fpr95"),
    "odin": _RATES,
    "eloc": _RATES,
    "outlier_exposure": ("auroc", "auprc_out_ratio_1to5", "fpr95_ood_positive"),
    "openood": ("fpr95_ood_positive", "auroc", "aupr_in", "aupr_out"),
}
"""Names of the metrics of each convention."""
_ODIN: Final = Rules(edge="rejected", cut="window", area="rectangles", balance="rates")
_DECOMPOSED: Final[Mapping[str, Rules]] = {
    "exact": Rules(),
    "fssd": Rules(ties="random"),
    "mahalanobis": Rules(ties="id first", cut="nearest, last"),
    "featurenorm": Rules(cut="nearest"),
    "odin": _ODIN,
    "eloc": _ODIN,
    "outlier_exposure": Rules(draws="1 in 5", positive="ood", cut="nearest"),
    "openood": Rules(positive="ood", cut="keeps"),
}
_AUPR_AREA: Final = {"fssd": "trapezoid", "mahalanobis": "precision 0", "openood": "precision 1"}


def rules_of(convention: str, metric: str, options: Mapping[str, Any] | None = None) -> Rules:
    """A convention taken apart for one metric; choices without effect on it have their defaults.

    Args:
        convention: one of :data:`~ood_bench.metrics.conventions.CONVENTIONS`.
        metric: its name in the convention.
        options: the convention's options, as its ``metrics`` takes them.

    Raises:
        MetricError: if the convention is unknown or not taken apart here.
    """
    if convention not in _DECOMPOSED:
        convention_named(convention)
        raise MetricError(f"metric convention {convention!r} is not taken apart into choices")
    rules, options, family = _DECOMPOSED[convention], options or {}, asked(metric).family
    if metric.endswith("_ood_positive"):
        rules = replace(rules, positive="ood")
    if convention == "odin":
        on_grid = options.get("grid", "official") == "official"
        grid = f"grid {options['row']} {options['classes']}" if on_grid else "grid data"
        rules = replace(rules, thresholds=grid)
        if family == "auroc" and options["row"] != "msp":
            rules = replace(rules, edge="accepted")
    if family == "aupr" and rules.area != "rectangles":
        rules = replace(rules, area=_AUPR_AREA.get(convention, "step"))
    return replace(
        Rules(area="step" if family == "aupr" else "trapezoid"),
        **{name: getattr(rules, name) for name in RELEVANT[family]},
    )


def name_in(convention: str, metric: str) -> str:
    """What a convention calls a metric: its own metric of the same family, level and side.

    Raises:
        MetricError: if it has none.
    """
    names, wanted = METRICS[convention], asked(metric)
    if metric in names:
        return metric
    for complement in (wanted.complement, not wanted.complement):
        for name in names:
            if asked(name) == wanted._replace(complement=complement):
                return name
    raise MetricError(f"convention {convention} has nothing like {metric}", f"it has {', '.join(names)}")


def changed(one: Rules, other: Rules) -> list[str]:
    """Names of the choices in which two differ."""
    return [item.name for item in fields(Rules) if getattr(one, item.name) != getattr(other, item.name)]
