"""The rule that says whether a published number was reproduced; ``docs/verdicts.md`` is this module in words."""

import itertools
import math
from dataclasses import dataclass
from enum import StrEnum

from scipy.special import stdtr

from ood_bench.papers.block import Block
from ood_bench.report.rows import Row, Stat
from ood_bench.report.rule import rounding

STDS = 2.0
"""How many of our sample standard deviations over networks the published value may be away."""
SINGLE_NETWORK = 1.0
"""What it may be away, in points, where there is one network and hence no deviation."""
_EQUAL = 1e-9
_COMPARED = {"yes": "", "no": " (no verdict)", "tuned": " (no verdict where ours is not tuned)"}
_SMALLER_IS_BETTER = ("fpr", "detection_error", "test_error", "error")


class Verdict(StrEnum):
    """The verdict on one cell."""

    WITHIN = "within"
    BETTER = "better"
    WORSE = "worse"
    INCOMPARABLE = "not comparable"
    NOT_RUN = "not run"

    @property
    def conclusion(self) -> str:
        """``reproduced``, ``not reproduced``, ``not comparable`` or ``not run``."""
        if self in (Verdict.BETTER, Verdict.WORSE):
            return "not reproduced"
        return "reproduced" if self is Verdict.WITHIN else self.value


@dataclass(frozen=True)
class Judgement:
    """A verdict and what it rests on.

    Attributes:
        verdict: the verdict.
        reason: why, in words.
        tolerance: how far the published value may be from our mean, in points; none where nothing is compared.
        chance: how often one more run of ours would be at least as far from our mean as the published value is, if all
            runs were of one normal distribution; none where our spread is unknown or 0.
    """

    verdict: Verdict
    reason: str
    tolerance: float | None = None
    chance: float | None = None


def tolerance(stat: Stat, printed: str) -> float:
    """How far the published value may be from our mean, in points."""
    spread = SINGLE_NETWORK if stat.std is None else STDS * stat.std
    return max(spread, rounding(printed))


def outside_tolerance(stat: Stat | None, printed: str | None) -> bool:
    """Whether the published value is further from our mean than the tolerance; false where one of both is missing."""
    if stat is None or printed is None:
        return False
    return abs(stat.mean - float(printed)) > tolerance(stat, printed) + _EQUAL


def chance(stat: Stat, printed: str) -> float | None:
    """Two-sided p-value of the published value as one more draw, Student's t with ``n - 1`` degrees of freedom."""
    if not stat.std:
        return None
    distance = abs(stat.mean - float(printed)) / (stat.std * math.sqrt(1 + 1 / stat.n))
    return 2 * float(stdtr(stat.n - 1, -distance))


def smaller_is_better(metric: str) -> bool:
    """Whether lower values of a metric are the better ones."""
    return metric.startswith(_SMALLER_IS_BETTER)


def judge(row: Row, metric: str, printed: str | None, block: Block | None = None) -> Judgement:
    """The verdict on one cell: our runs, if any, against the published value as printed, if any.

    Args:
        row: the cell's runs.
        metric: its metric.
        printed: the published value.
        block: the paper's block, which knows what speaks against the value, and which images it is of.
    """
    if not row.records:
        return Judgement(Verdict.NOT_RUN, "there is no record of this cell")
    stat = row.stat(metric)
    if printed is None:
        return Judgement(Verdict.INCOMPARABLE, "there is no published number")
    if stat is None:
        return Judgement(Verdict.INCOMPARABLE, "our records lack this metric")
    flagged = block.flags(row.method, row.ood, metric) if block else []
    if against := [flag for flag in flagged if flag.compare == "no" or (flag.compare == "tuned" and _untuned(row))]:
        return Judgement(Verdict.INCOMPARABLE, "; ".join(f"{flag.kind}: {flag.reason}" for flag in against))
    if others := _other_images(row, block.images if block else ""):
        return Judgement(Verdict.INCOMPARABLE, f"not the official images: {', '.join(others)}")
    allowed = tolerance(stat, printed)
    return Judgement(_compared(stat, metric, printed), _basis(stat, printed), allowed, chance(stat, printed))


def _compared(stat: Stat, metric: str, printed: str) -> Verdict:
    if not outside_tolerance(stat, printed):
        return Verdict.WITHIN
    ours_is_lower = stat.mean < float(printed)
    return Verdict.BETTER if ours_is_lower == smaller_is_better(metric) else Verdict.WORSE


def _basis(stat: Stat, printed: str) -> str:
    allowed = tolerance(stat, printed)
    if stat.std is not None and allowed == STDS * stat.std:
        return f"tolerance {allowed:.2f}: two standard deviations over {stat.n} networks"
    if stat.std is None and allowed == SINGLE_NETWORK:
        return f"tolerance {allowed:.2f}: a single network, whose spread is unknown"
    return f"tolerance {allowed:.2f}: the rounding of the published value"


def flags_in_words(block: Block) -> list[str]:
    """What is known against a block's published numbers, a line each with the methods that it concerns."""
    found: dict[str, list[str]] = {}
    for method, ood, metric in itertools.product(block.methods, block.ood, block.metrics):
        if block.printed(method, ood, metric) is not None:
            for flag in block.flags(method, ood, metric):
                found.setdefault(f"{flag.kind}{_COMPARED[flag.compare]}: {flag.reason}", []).append(method)
    return [f"{', '.join(dict.fromkeys(methods))}: {text}" for text, methods in found.items()]


def _untuned(row: Row) -> bool:
    """Whether nothing was chosen for the row."""
    return all(record.evaluation.tuned_on == "nothing" for record in row.records)


def _other_images(row: Row, official: str) -> list[str]:
    """Sets with which the row was trained or scored that are not the official release, or of the published variant."""
    roles = [(one.data.id_train, one.data.id_test, one.data.ood) for one in row.records]
    others = (used for sets in roles for used in sets if used is not None and used.variant not in ("", official))
    return list(dict.fromkeys(used.title for used in others))
