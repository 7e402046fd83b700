"""The search among a detector's settings: one curve over the candidates, and the first of the best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ood_bench.methods.base import Detector, Scorer, Setting, View
from ood_bench.metrics import Curve, exact


@dataclass(frozen=True)
class Choice:
    """A setting, and how it came about.

    Attributes:
        setting: what is scored with.
        tuned_on: what the choice saw, in words.
        record: what the record says of the search; none where there was none.
    """

    setting: Setting
    tuned_on: str = "nothing"
    record: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Rule:
    """What settings are compared by.

    Attributes:
        objective: the value that is compared, in words.
        best: which end of the curve wins; the first of equals.
    """

    objective: str
    best: Literal["lowest", "highest"]

    def choose(
        self, settings: Sequence[Setting], curve: Sequence[float], seen: Mapping[str, int], tuned_on: str
    ) -> Choice:
        """The winner, and the record of the search.

        Args:
            settings: the candidates, in the order in which they are tried.
            curve: the value of each.
            seen: number of rows of each image set that the search saw, by name.
            tuned_on: the same in words.
        """
        return Choice(self.winner(settings, curve), tuned_on, self.record(settings, curve, seen))

    def winner(self, settings: Sequence[Setting], curve: Sequence[float]) -> Setting:
        """The first of the best settings."""
        return settings[int(np.argmin(curve) if self.best == "lowest" else np.argmax(curve))]

    def record(self, settings: Sequence[Setting], curve: Sequence[float], seen: Mapping[str, int]) -> dict[str, Any]:
        """What the record says of a search."""
        return {
            "seen": dict(seen),
            "candidates": list(settings),
            "objective": self.objective,
            "curve": [[value] for value in curve],
        }


def fpr95_curve(
    detector: Detector, scorer: Scorer, inside: View, outside: View, settings: Sequence[Setting]
) -> list[float]:
    """FPR at 95 % TPR of every setting on validation rows of both kinds, in percent."""
    statistics = [detector.statistics(scorer, view, settings) for view in (inside, outside)]
    curve = []
    for setting, a, b in zip(settings, *statistics, strict=True):
        detector.calibrate(scorer, setting)
        curve.append(100 * exact.fpr_at_tpr(Curve.of(detector.score(a), detector.score(b)), 0.95))
    return curve
