"""Methods beside networks: mean AUROC over OOD sets, where many methods scored the same sets."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from ood_bench.data.imageset import titled
from ood_bench.papers.costs import costs
from ood_bench.report import ranks
from ood_bench.report.csv_files import as_csv
from ood_bench.report.format import NOTHING, markdown_table, number, paragraph
from ood_bench.report.means import Mean
from ood_bench.report.networks import SHORT, titles
from ood_bench.report.networks import by_network as by_weights
from ood_bench.report.sections import Section
from ood_bench.results import Record
from ood_bench.results.record_store import slug

COLUMNS = (
    "method", "variant", "model", "weights", "ood", "ood_images", "seed", "n_id", "n_ood", "auroc", "low", "high",
    "fpr95", "fpr95_ood_positive", "aupr_in", "aupr_out", "cell",
)  # fmt: skip
"""Of the CSV file of a table's cells: exact metrics in percent."""
_METHODS = 8
"""Fewer methods make no table: the others show them well."""
_PLACES, _CSV_PLACES = 2, 4
_SAME = 1e-3  # both AUROCs count the same rows
_WORDS = "Exact AUROC in percent, the mean over these OOD sets, highest mean over networks first."
_BOUND = (
    "The half-width is the mean of the half-widths of the sets' 95 % bootstrap intervals: an upper bound of the mean's "
    "own, because sets share the ID rows. It speaks of rows, not of training seeds. `ood-bench compare --means` gives "
    "the mean's own interval, and tests that tell methods apart."
)
_TESTED = (
    "The half-width is that of the mean's own 95 % interval by DeLong, ID rows being shared by the sets: it speaks of "
    "rows, not of training seeds. Methods with `=` are not told apart from their network's best (bold) by "
    "DeLong's test of the two means on the same images, p by Holm over all methods of the network, 5 %."
)
_COST = (
    "Passes are what scoring with the method takes in forward passes over the scored images, on one core of {cpu} with "
    "{subject} (`python -m benchmarks.costs`): the pass that methods of logits and features share counts as 1 for each "
    "of them, what a method learns from is not counted, and a pass that ends at an early tap is less than 1."
)
_RANKED = (
    "rank: a method's average rank over these networks, 1 the best; methods with `=` there are not told apart from the "
    "first over networks."
)
_Means = Mapping[tuple[str, str, str, str], Mean]
_Key = tuple[str, str]


def by_network(every: Sequence[Section], tested: _Means) -> dict[str, str]:
    """A Markdown table by ID set and protocol, and its cells as CSV, by name of the file; none where methods are few.

    Args:
        every: the sections of all tables.
        tested: what :func:`ood_bench.report.means.read` found.
    """
    ran = [row for section in every if section.kind == "other" for row in section.ran]
    records = [record for row in ran for record in row.records]
    files: dict[str, str] = {}
    for (images, protocol), group in groupby(sorted(records, key=_place), key=_place):
        cells = list(group)
        if text := _page(images, protocol, cells, tested):
            name = f"methods-{protocol}-{slug(images)}"
            files |= {f"{name}.md": text, f"{name}.csv": as_csv(COLUMNS, map(_line, cells))}
    return files


def _place(record: Record) -> tuple[str, str]:
    return record.data.id_test.title, record.protocol


def _line(record: Record) -> dict[str, str]:
    auroc, text = record.exact["auroc"], {"method": record.method, "variant": record.variant, "model": record.model}
    text |= {"ood": record.ood, "ood_images": record.data.ood.title, "seed": str(record.seed), "cell": record.cell_key}
    text |= {"weights": record.checkpoint.identity[:SHORT], "n_id": str(record.n_id), "n_ood": str(record.n_ood)}
    numbers = {name: record.exact[name].value for name in COLUMNS if name in record.exact}
    if auroc.low is not None and auroc.high is not None:
        numbers |= {"low": auroc.low, "high": auroc.high}
    return text | {name: number(value, _CSV_PLACES) for name, value in numbers.items()}


def _page(images: str, protocol: str, records: Sequence[Record], tested: _Means) -> str:
    """The table of one ID set and protocol; empty where there are too few methods."""
    table = _Table.of(images, protocol, records, tested)
    if len(table.methods) < _METHODS:
        return ""
    ranking = ranks.rank(table.values)
    paid = {method: cost for method, cost in costs().items() if method in table.methods}
    words = [f"{_WORDS} {_TESTED if table.tested else _BOUND}"]
    words += [f"{_RANKED} {ranking.tests} {ranking.limits}"] if ranking else []
    words += [_COST.format(cpu=one.cpu, subject=one.subject) for one in list(paid.values())[:1]]
    words.append(f"OOD sets: {', '.join(table.sets)}.")
    columns: dict[str, Iterable[str]] = {"mean": map(table.mean, table.methods)}
    if ranking:
        columns["rank"] = (_rank(ranking, method) for method in table.methods)
    if paid:
        columns["passes"] = (number(paid[one].passes, _PLACES) if one in paid else NOTHING for one in table.methods)
    lines = [[*line, *table.texts(line[0])] for line in zip(table.methods, *columns.values(), strict=True)]
    text = markdown_table(["Method", *columns, *table.networks], lines, left=[0])
    return "\n\n".join([f"# {images}, protocol {protocol}", *map(paragraph, words), text]) + "\n"


class _Table(NamedTuple):
    """What stands in the table of one ID set and protocol; keys are method and network.

    Attributes:
        networks: titles of the columns.
        sets: the OOD sets.
        means: mean AUROC over the sets and its half-width, of methods that have all sets.
        lacking: the cells of methods that lack some.
        tested: the same with their tests, where those are of the same records; else empty.
    """

    networks: list[str]
    sets: list[str]
    means: dict[_Key, tuple[float, float | None]]
    lacking: list[_Key]
    tested: dict[_Key, Mean]

    @classmethod
    def of(cls, images: str, protocol: str, records: Sequence[Record], tested: _Means) -> "_Table":
        """From the records of one ID set and protocol."""
        of_network = by_weights(records)
        names = titles(of_network)
        cells: dict[_Key, dict[str, list[Record]]] = {}
        for network, mine in of_network.items():
            for record in mine:
                sets = cells.setdefault((titled(record.method, record.variant), names[network]), {})
                sets.setdefault(record.data.ood.title, []).append(record)
        shared = sorted(set().union(*cells.values()))
        means = {key: _mean(sets) for key, sets in cells.items() if set(sets) == set(shared)}
        short = {names[network]: network.short for network in of_network}
        found = {key: tested.get((images, protocol, short[key[1]], key[0])) for key in means}
        fitting = {
            key: one
            for key, one in found.items()
            if one and one.sets == len(shared) and abs(one.auroc - means[key][0]) < _SAME
        }
        lacking = [key for key in cells if key not in means]
        return cls(sorted(short), shared, means, lacking, fitting if len(fitting) == len(means) else {})

    @property
    def values(self) -> dict[str, dict[str, float | None]]:
        """Means by network and method; none where some sets are lacking."""
        found: dict[str, dict[str, float | None]] = {network: {} for network in self.networks}
        for (method, network), (value, _) in self.means.items():
            found[network][method] = value
        for method, network in self.lacking:
            found[network][method] = None
        return found

    @property
    def methods(self) -> list[str]:
        """Highest mean over networks first; methods that a network lacks come last."""
        found = {method for method, _ in self.means}
        return sorted(sorted(found), key=lambda method: (self._lacks(method), -statistics.fmean(self._known(method))))

    def mean(self, method: str) -> str:
        """The mean over networks, if there is one."""
        return NOTHING if self._lacks(method) else number(statistics.fmean(self._known(method)), _PLACES)

    def texts(self, method: str) -> list[str]:
        """A method's cells, network by network."""
        return [self._text((method, network)) for network in self.networks]

    def _known(self, method: str) -> list[float]:
        return [self.means[method, network][0] for network in self.networks if (method, network) in self.means]

    def _lacks(self, method: str) -> bool:
        return len(self._known(method)) < len(self.networks)

    def _text(self, key: _Key) -> str:
        if key not in self.means:
            return NOTHING
        value, half = self.means[key]
        if not (one := self.tested.get(key)):
            return _value(value, half)
        best = value == max(self.means[other][0] for other in self.means if other[1] == key[1])
        return f"**{_value(value, one.half)}**" if best else _value(value, one.half) + " =" * one.level


def _rank(ranking: ranks.Ranking, method: str) -> str:
    if method not in ranking.methods:
        return NOTHING
    text = number(ranking.average[ranking.methods.index(method)], _PLACES)
    if method == ranking.methods[0]:
        return f"**{text}**"
    return text + " =" * ranking.level(method)


def _mean(sets: dict[str, list[Record]]) -> tuple[float, float | None]:
    """Mean over the sets, and the mean half-width of their intervals, if all have one."""
    every = [[record.exact["auroc"] for record in records] for records in sets.values()]
    found = [one for records in every for one in records]
    value = statistics.fmean(statistics.fmean(one.value for one in records) for records in every)
    if any(one.low is None or one.high is None for one in found):
        return value, None
    halves = [[(one.high - one.low) / 2 for one in records] for records in every]  # type: ignore[operator]
    return value, statistics.fmean(map(statistics.fmean, halves))


def _value(value: float, half: float | None) -> str:
    return number(value, _PLACES) + ("" if half is None else f" ± {number(half, _PLACES)}")
