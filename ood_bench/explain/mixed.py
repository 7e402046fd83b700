"""Two evaluations of a cell, mixed choice by choice: the number of every mixture that can be had."""

from typing import NamedTuple

from ood_bench.explain.cells import Pair
from ood_bench.explain.ends import End
from ood_bench.explain.numbers import number
from ood_bench.explain.ranked import Ranked
from ood_bench.explain.rules import Asked, Rules, asked, changed, rules_of
from ood_bench.metrics import MetricError
from ood_bench.scoring.kept import NotKeptError

DATA = ("rows", "fit rows", "setting", "ranked numbers")
"""The choices that scores depend on, in the order of the rungs."""


class Sides(NamedTuple):
    """For each of :data:`DATA`, whether it is that of the ladder's end; else it is that of its start."""

    rows: bool
    fit_rows: bool
    setting: bool
    ranked: bool


class Mixed:
    """One network's two evaluations.

    Args:
        start: the one that a ladder starts from.
        end: the one that it leads to.
        metrics: the metric's name in either convention.
    """

    def __init__(self, start: End, end: End, metrics: tuple[str, str]) -> None:
        self.ends, self.metrics = (start, end), metrics
        self.rules = tuple(
            rules_of(one.convention, metric, one.options) for one, metric in zip(self.ends, metrics, strict=True)
        )
        self.asked: Asked = asked(metrics[0])
        self._ranked: dict[Sides, Ranked] = {}

    def differing(self) -> list[str]:
        """Those of :data:`DATA` in which the ends differ."""
        one, other = self.ends
        rows = any(
            len(a) != len(b) or set(a.tolist()) != set(b.tolist()) for a, b in zip(one.rows, other.rows, strict=True)
        )
        differ = (
            rows or _sets(one) != _sets(other),
            one.cell.train_rows != other.cell.train_rows,
            one.cell.record is not other.cell.record or one.setting != other.setting,
            one.precision != other.precision,
        )
        return [name for name, does in zip(DATA, differ, strict=True) if does]

    def rule_choices(self) -> list[str]:
        """The choices of the metric convention in which the ends differ."""
        return changed(*self.rules)

    def scores(self, sides: Sides) -> Pair:
        """The scores of a mixture.

        Raises:
            NotKeptError: if they were not kept.
        """
        of_rows, of_fit, of_setting, of_precision = (self.ends[side] for side in sides)
        if of_rows is of_fit is of_setting is of_precision and of_rows.ranked is not None:
            return of_rows.ranked
        if of_precision.ranked is not None:
            raise NotKeptError(f"scores {of_precision.precision}, at other rows or another setting")
        if _sets(of_rows) != _sets(of_setting):
            raise NotKeptError("scores of other images", len(of_rows.rows[0]) + len(of_rows.rows[1]))
        cell = of_setting.cell.fitted_on(of_fit.cell.train_rows)
        return cell.known(of_setting.setting, of_precision.precision).at(of_rows.rows)

    def why_not(self, sides: Sides) -> NotKeptError | None:
        """What is missing for the scores of a mixture, if anything."""
        try:
            self.ranked(sides)
        except NotKeptError as error:
            return error
        return None

    def ranked(self, sides: Sides) -> Ranked:
        """The same, sorted.

        Raises:
            NotKeptError: if they were not kept.
        """
        if sides not in self._ranked:
            self._ranked[sides] = Ranked(*self.scores(sides))
        return self._ranked[sides]

    def value(self, sides: Sides, rules: Rules) -> float | None:
        """The number of a mixture in percent, none where the rules give none for such scores."""
        ranked = self.ranked(sides)
        try:
            return number(ranked, self.asked, rules)
        except MetricError:
            return None


def _sets(end: End) -> tuple[str | None, ...]:
    """The images that an end's rows are numbers in."""
    data = end.cell.record.data
    return data.id_test.name, data.id_test.fingerprint, data.ood.name, data.ood.fingerprint
