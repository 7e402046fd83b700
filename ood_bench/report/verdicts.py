"""The verdict on a cell, and why; ``docs/verdicts.md`` is this module and :mod:`ood_bench.report.rule` in words."""

import itertools
import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from scipy.special import stdtr

from ood_bench.papers.block import Block
from ood_bench.report.margins import DEFAULT, Margins
from ood_bench.report.rows import Row, Stat
from ood_bench.report.rule import Decision, Ours, Published, decide, decide_same_weights, rounding

_DRAWS = 10
_COMPARED = {"yes": "", "no": " (no verdict)", "tuned": " (no verdict where ours is not tuned)"}
_SMALLER_IS_BETTER = ("fpr", "detection_error", "test_error", "error")
_MARKS = {"not reproduced": " †", "undecided": " ?"}


class Verdict(StrEnum):
    """The verdict on one cell, in the order in which counts are given."""

    REPRODUCED = "reproduced"
    UNDECIDED = "undecided"
    BETTER = "better"
    WORSE = "worse"
    INCOMPARABLE = "not comparable"
    NOT_RUN = "not run"

    @property
    def conclusion(self) -> str:
        """``reproduced``, ``undecided``, ``not reproduced``, ``not comparable`` or ``not run``."""
        return "not reproduced" if self in (Verdict.BETTER, Verdict.WORSE) else self.value

    @property
    def mark(self) -> str:
        """What stands behind a difference in Markdown tables; empty where it is reproduced or not compared."""
        return _MARKS.get(self.conclusion, "")


@dataclass(frozen=True)
class Judgement:
    """A verdict and what it rests on.

    Attributes:
        verdict: the verdict.
        reason: why, in words.
        limit: a published value further from our mean than these points is not reproduced; none where nothing tells.
        chance: how often the two means would be at least as far apart, if all runs were of one normal distribution;
            none where our spread is unknown or 0, or the networks are the authors' own.
    """

    verdict: Verdict
    reason: str
    limit: float | None = None
    chance: float | None = None


def chance(stat: Stat, published: Published) -> float | None:
    """Two-sided p-value of the published mean against ours, Student's t with ``n - 1`` degrees of freedom."""
    if not stat.std:
        return None
    distance = abs(stat.mean - published.value) / (stat.std * math.sqrt(1 / published.runs + 1 / stat.n))
    return 2 * float(stdtr(stat.n - 1, -distance))


def smaller_is_better(metric: str) -> bool:
    """Whether lower values of a metric are the better ones."""
    return metric.startswith(_SMALLER_IS_BETTER)


def judge(
    row: Row, metric: str, printed: str | None, block: Block | None = None, margins: Margins = DEFAULT
) -> Judgement:
    """The verdict on one cell: our runs, if any, against the published value as printed, if any.

    Args:
        row: the cell's runs.
        metric: its metric.
        printed: the published value.
        block: the paper's block, which knows what speaks against the value, of how many runs it is, which images it is
            of, and which networks made it.
        margins: differences that do not matter.
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
    runs = block.runs(row.method, row.ood, metric) if block else 1
    published = Published(float(printed), rounding(printed), runs)
    margin = margins.of(metric)
    ours = Ours(stat.mean, stat.std, stat.n)
    found = None
    if block and all(map(block.owns, row.records)):
        draws = row.draws(metric) if block.draws(row.ood) else None
        decision = _same_weights(ours, row, published, draws, margin)
    elif row.shares_networks:
        decision = Decision("undecided", "its ensembles share networks: how much separate ones differ is unknown")
    elif stat.n == 1 and row.imported:
        decision = Decision("undecided", "one imported network, which the block does not name as its authors' own")
    else:
        decision, found = decide(ours, published, margin), chance(stat, published)
    return Judgement(_verdict(decision, metric, stat, published), decision.reason, decision.limit, found)


def _same_weights(ours: Ours, row: Row, published: Published, draws: list[float] | None, margin: float) -> Decision:
    """The authors' own networks against the number that these very networks gave; ``draws`` where rows are drawn."""
    if ours.n != published.runs:
        return Decision("undecided", f"the authors' weights: {ours.n} scored, but {published.runs} behind the number")
    if draws is None:
        n_id, n_ood = (min(getattr(one, name) for one in row.records) for name in ("n_id", "n_ood"))
        return decide_same_weights(abs(ours.mean - published.value), published, n_id, n_ood)
    if ours.n > 1 or len(draws) < _DRAWS:
        words = f"the authors' weights on rows that the protocol draws: {len(draws)} of {_DRAWS} draws"
        return Decision("undecided", f"{words} of one network, so that their spread is unknown")
    return decide(Ours(statistics.fmean(draws), statistics.stdev(draws), len(draws), "draws"), published, margin)


def _verdict(decision: Decision, metric: str, stat: Stat, published: Published) -> Verdict:
    if decision.said != "not reproduced":
        return Verdict(decision.said)
    ours_is_lower = stat.mean < published.value
    return Verdict.BETTER if ours_is_lower == smaller_is_better(metric) else Verdict.WORSE


def counted(verdicts: Iterable[Verdict]) -> str:
    """How often each conclusion occurs, in words; better and worse are ``not reproduced``."""
    found = [verdict.conclusion for verdict in verdicts]
    order = dict.fromkeys(verdict.conclusion for verdict in Verdict)
    return ", ".join(f"{found.count(one)} {one}" for one in order if one in found)


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
