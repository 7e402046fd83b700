"""All defensible conventions on the same scores: how far each method's number reaches, and who changes places."""

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ood_bench.explain.numbers import number
from ood_bench.explain.ranked import Ranked
from ood_bench.explain.rules import METRICS, RELEVANT, Asked, Rules, asked, name_in, rules_of
from ood_bench.metrics import MetricError

_ODIN = {"row": "msp", "classes": 10, "grid": "data"}


@dataclass(frozen=True)
class Universe:
    """One way to turn the kept scores into numbers.

    Attributes:
        precision: which of a method's scores are ranked.
        rules: the metric convention.
    """

    precision: str
    rules: Rules


@dataclass(frozen=True)
class Swap:
    """Two methods, and how often they change places.

    Attributes:
        first: the one that is ahead under more conventions.
        second: the other.
        ahead: number of conventions under which the first is better.
        behind: number under which it is worse.
        level: number under which both have the same number.
    """

    first: str
    second: str
    ahead: int
    behind: int
    level: int


@dataclass(frozen=True)
class Multiverse:
    """Numbers of methods under every convention.

    Attributes:
        metric: the metric.
        universes: the conventions.
        values: each method's numbers in percent, one a convention, none where it has none.
    """

    metric: str
    universes: tuple[Universe, ...]
    values: Mapping[str, tuple[float | None, ...]]

    def curve(self, method: str) -> list[float]:
        """The method's numbers in ascending order: its specification curve."""
        return sorted(value for value in self.values[method] if value is not None)

    def swaps(self) -> list[Swap]:
        """Every pair of methods; those that change places most often first."""
        sign = -1 if smaller_is_better(self.metric) else 1
        found = []
        for one, other in itertools.combinations(self.values, 2):
            pairs = zip(self.values[one], self.values[other], strict=True)
            signs = [sign * (a - b) for a, b in pairs if a is not None and b is not None]
            ahead, behind = sum(step > 0 for step in signs), sum(step < 0 for step in signs)
            names = (one, other) if ahead >= behind else (other, one)
            found.append(Swap(*names, max(ahead, behind), min(ahead, behind), len(signs) - ahead - behind))
        return sorted(found, key=lambda swap: (-swap.behind, swap.first, swap.second))


def smaller_is_better(metric: str) -> bool:
    """Whether a lower number is the better one."""
    wanted = asked(metric)
    return (wanted.family == "fpr") != wanted.complement or (wanted.family == "detection" and wanted.complement)


def defensible(metric: str) -> list[Rules]:
    """Every combination of what papers' conventions do for a metric, but for those that contradict themselves.

    ODIN's window is read from thresholds that reject a row on them, as both codes with it do; its grid goes with the
    window and with rectangles, and has no order of tied rows; scikit-learn's points need tied rows together.
    """
    wanted = asked(metric)
    known = []
    for convention in METRICS:
        try:
            known.append(rules_of(convention, name_in(convention, metric), _ODIN))
        except MetricError:
            continue
    names = RELEVANT[wanted.family]
    options = [list(dict.fromkeys(getattr(one, name) for one in known)) for name in names]
    combinations = (replace(known[0], **dict(zip(names, some, strict=True))) for some in itertools.product(*options))
    return [rules for rules in combinations if _consistent(rules, wanted)]


def _consistent(rules: Rules, wanted: Asked) -> bool:
    grid, window = rules.thresholds != "scores", rules.cut == "window"
    of_odin = window if wanted.family == "fpr" else rules.area == "rectangles"
    if wanted.family == "detection":
        of_odin = rules.edge == "rejected"
    if wanted.family == "aupr" and of_odin != (rules.balance == "rates"):
        return False
    if grid and not of_odin:
        return False
    if rules.ties != "together" and (grid or rules.cut == "keeps"):
        return False
    return wanted.family == "aupr" or of_odin or rules.edge == "accepted"


def multiverse(cells: Mapping[str, Sequence[Mapping[str, Ranked]]], metric: str) -> Multiverse:
    """The numbers of several methods, each the mean over its cells, under every defensible convention.

    Args:
        cells: by method, its cells' scores by what is ranked; all cells of a method and all methods are of the same
            images. A method without float32 scores has the same numbers for both.
        metric: the metric.
    """
    wanted = asked(metric)
    precisions = list(dict.fromkeys(name for mine in cells.values() for one in mine for name in one))
    universes = tuple(Universe(name, rules) for name in precisions for rules in defensible(metric))
    known: dict[tuple[int, Rules], float | None] = {}

    def one(ranked: Ranked, rules: Rules) -> float | None:
        key = id(ranked), rules
        if key not in known:
            try:
                known[key] = number(ranked, wanted, rules)
            except MetricError:
                known[key] = None
        return known[key]

    def mean(mine: Sequence[Mapping[str, Ranked]], universe: Universe) -> float | None:
        found = [one(cell.get(universe.precision, next(iter(cell.values()))), universe.rules) for cell in mine]
        whole = [value for value in found if value is not None]
        return statistics.fmean(whole) if whole and len(whole) == len(found) else None

    values = {name: tuple(mean(mine, universe) for universe in universes) for name, mine in cells.items()}
    return Multiverse(metric, universes, values)
