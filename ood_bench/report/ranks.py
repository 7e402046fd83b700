"""``ood-bench compare --ranks``: methods ranked on every network, and what so many networks can tell apart."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from ood_bench.data.imageset import titled
from ood_bench.metrics.paired import holm
from ood_bench.metrics.ranks import LEVEL, cliques, least_p, networks_needed, ranked, sign_flip
from ood_bench.report.csv_files import as_csv
from ood_bench.report.networks import by_network, titles
from ood_bench.results import Record
from ood_bench.results.record_store import slug

FOLDER = "ranks"
"""Below the folder of paired tests."""
COLUMNS = (
    "protocol", "id_images", "networks", "method", "rank", "auroc", "best", "behind", "p", "p_holm", "least_p",
    "friedman_p", "critical_difference", "groups",
)  # fmt: skip


class Ranking(NamedTuple):
    """Methods in the order of their average rank over networks.

    Attributes:
        methods: those that every network scored, best first.
        networks: titles of the networks.
        values: mean AUROC over OOD sets in percent by method and network, in these orders.
        ranks: ranks on each network, in these orders.
        average: each method's average rank.
        p: of the paired permutation test over networks against the first method; one less than methods.
        holm: the same by Holm over these methods.
        friedman: p-value that no method differs.
        difference: Nemenyi's critical difference of average ranks.
        groups: first and last place of each group of methods that are not told apart by it.
        left_out: methods that some network lacks, and networks that lack more than half of the methods.
    """

    methods: list[str]
    networks: list[str]
    values: list[list[float]]
    ranks: list[list[float]]
    average: list[float]
    p: list[float]
    holm: list[float]
    friedman: float
    difference: float
    groups: list[tuple[int, int]]
    left_out: list[str]

    def level(self, method: str) -> bool:
        """Whether a method is not told apart from the first by its average rank."""
        return self.average[self.methods.index(method)] - self.average[0] <= self.difference

    @property
    def summary(self) -> str:
        """The first methods and all that the tests say, for the terminal."""
        level = [method for method in self.methods[1:] if self.level(method)]
        first = f"{self.methods[0]} has the best average rank ({self.average[0]:.2f})"
        after = f", {len(level)} of {len(self.methods) - 1} other methods are not told apart from it. "
        lacking = f" Left out, for lack of networks or OOD sets: {', '.join(self.left_out)}." if self.left_out else ""
        return first + after + f"{self.tests} {self.limits}{lacking}"

    @property
    def tests(self) -> str:
        """What Nemenyi's and Friedman's tests say, in words."""
        size = f"{len(self.methods)} methods, {len(self.networks)} networks, 5 %"
        return (
            f"Nemenyi's critical difference of average ranks is {self.difference:.2f} ({size}); Friedman's test that "
            f"no method differs gives p = {self.friedman:.2g}."
        )

    @property
    def limits(self) -> str:
        """What a paired permutation test over so many networks cannot say, in words."""
        n, family = len(self.networks), len(self.methods) - 1
        least = least_p(n)
        said = f"{n} networks cannot give p below {least:.4g} in a two-sided paired permutation test"
        if (together := family * least) < LEVEL:
            return f"{said}, or below {together:.4g} by Holm over {family} methods."
        needed = networks_needed(family)
        return f"{said}; telling methods apart by it at 5 % takes {needed} networks (Holm over {family} methods)."


def rank(values: Mapping[str, Mapping[str, float | None]]) -> Ranking | None:
    """Ranks methods over networks; none where fewer than two networks scored the same three methods.

    Args:
        values: mean AUROC over OOD sets by title of the network and method; none where a method lacks some of them.
    """
    whole = {
        name: {method: value for method, value in found.items() if value is not None} for name, found in values.items()
    }
    every = set().union(*values.values())
    networks = sorted(name for name, found in whole.items() if 2 * len(found) >= len(every))
    shared = sorted(set.intersection(*(set(whole[name]) for name in networks))) if networks else []
    if len(networks) < 2 or len(shared) < 3:
        return None
    table = np.array([[whole[name][method] for method in shared] for name in networks])
    found = ranked(table)
    order = sorted(range(len(shared)), key=lambda place: (found.average[place], -table[:, place].mean(), shared[place]))
    table, average = table[:, order], found.average[order]
    p = sign_flip(table[:, :1] - table[:, 1:])
    return Ranking(
        methods=[shared[place] for place in order],
        networks=networks,
        values=table.T.tolist(),
        ranks=found.each[:, order].T.tolist(),
        average=average.tolist(),
        p=p.tolist(),
        holm=holm(p).tolist(),
        friedman=found.friedman,
        difference=found.difference,
        groups=cliques(average.tolist(), found.difference),
        left_out=[*sorted(every - set(shared)), *sorted(values.keys() - set(networks))],
    )


def rankings(records: Iterable[Record]) -> dict[tuple[str, str], Ranking]:
    """A ranking for each protocol and ID set, and for each protocol over several ID sets (whose title is empty)."""
    found: dict[tuple[str, str], Ranking] = {}
    ordered = sorted(records, key=lambda record: (record.protocol, record.data.id_test.title))
    for protocol, of_protocol in groupby(ordered, key=lambda record: record.protocol):
        mine = list(of_protocol)
        by_images = {images: list(group) for images, group in groupby(mine, key=lambda one: one.data.id_test.title)}
        groups = by_images | ({"": mine} if len(by_images) > 1 else {})
        found |= {(protocol, name): one for name, group in groups.items() if (one := rank(_means(group)))}
    return found


def _means(records: Sequence[Record]) -> dict[str, dict[str, float | None]]:
    """Mean exact AUROC over all sets of a network by its title and method; none for methods that lack some sets."""
    networks = by_network(records)
    names = titles(networks)
    return {names[network]: _of_network(mine) for network, mine in networks.items()}


def _of_network(records: Sequence[Record]) -> dict[str, float | None]:
    cells: dict[str, dict[tuple[str, str], list[float]]] = {}
    for record in records:
        sets = cells.setdefault(titled(record.method, record.variant), {})
        place = record.data.id_test.title, record.data.ood.title
        sets.setdefault(place, []).append(record.exact["auroc"].value)
    every = set().union(*cells.values())
    return {
        method: statistics.fmean(map(statistics.fmean, sets.values())) if sets.keys() == every else None
        for method, sets in cells.items()
    }


def stem(protocol: str, images: str) -> str:
    """The name of a ranking's files."""
    return f"{protocol}-{slug(images)}" if images else protocol


def csv_files(found: Mapping[tuple[str, str], Ranking]) -> dict[str, str]:
    """CSV text by file name, a file for each ranking."""
    return {
        f"{FOLDER}/{stem(*names)}.csv": as_csv(COLUMNS, _lines(*names, ranking)) for names, ranking in found.items()
    }


def _lines(protocol: str, images: str, found: Ranking) -> list[dict[str, str]]:
    means = list(map(statistics.fmean, found.values))
    shared = {
        "protocol": protocol, "id_images": images, "networks": str(len(found.networks)), "best": found.methods[0],
        "least_p": f"{least_p(len(found.networks)):.4g}", "friedman_p": f"{found.friedman:.3g}",
        "critical_difference": f"{found.difference:.4f}",
    }  # fmt: skip
    lines = []
    for place, method in enumerate(found.methods):
        groups = [str(number) for number, (first, last) in enumerate(found.groups, 1) if first <= place <= last]
        line = {"method": method, "rank": f"{found.average[place]:.4f}", "auroc": f"{means[place]:.4f}"}
        line |= {"behind": f"{means[0] - means[place]:.4f}", "groups": " ".join(groups)}
        if place:
            line |= {"p": f"{found.p[place - 1]:.4g}", "p_holm": f"{found.holm[place - 1]:.4g}"}
        lines.append(shared | line)
    return lines
