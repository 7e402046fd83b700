"""Choices of metric conventions in words, as rungs show them."""

from collections.abc import Mapping
from typing import Final

RULES: Final[Mapping[str, str]] = {
    "draws": "draws of OOD rows",
    "positive": "positive class",
    "thresholds": "thresholds",
    "ties": "tied rows",
    "edge": "row on a threshold",
    "cut": "cut at the level",
    "area": "area rule",
    "balance": "precision from",
}
"""Names of the choices, in the order of their rungs."""

_VALUES: Final[Mapping[tuple[str, str], str]] = {
    ("draws", "all"): "all OOD rows",
    ("draws", "1 in 5"): "ten draws of one OOD row for five ID rows",
    ("positive", "id"): "ID",
    ("positive", "ood"): "OOD",
    ("thresholds", "scores"): "every distinct score",
    ("thresholds", "grid data"): "100,000 between lowest and highest score",
    ("ties", "together"): "together",
    ("ties", "random"): "one by one, in random order",
    ("ties", "id first"): "one by one, ID rejected before OOD",
    ("edge", "accepted"): "accepted",
    ("edge", "rejected"): "rejected where negative",
    ("cut", "first"): "first point that reaches it",
    ("cut", "keeps"): "first of the points that scikit-learn keeps",
    ("cut", "nearest"): "nearest point, above or below",
    ("cut", "nearest, last"): "nearest point, of several the most accepting",
    ("cut", "window"): "mean over points within 0.05 points of it",
    ("area", "trapezoid"): "trapezoids (of an AUPR: from the first row on)",
    ("area", "rectangles"): "one-sided rectangles",
    ("area", "step"): "step sum (average precision)",
    ("area", "precision 0"): "trapezoids from precision 0",
    ("area", "precision 1"): "trapezoids from precision 1",
    ("balance", "counts"): "counts of rows",
    ("balance", "rates"): "rates, both classes weighted equally",
}


def rule_value(name: str, value: str) -> str:
    """The value of a convention's choice.

    >>> rule_value("thresholds", "grid msp 10")
    "ODIN's grid for msp, 10 classes"
    """
    if value.startswith("grid ") and value != "grid data":
        _, row, classes = value.split()
        return f"ODIN's grid for {row}, {classes} classes"
    return _VALUES[name, value]
