"""Rows of a table: the seeds of one method on one OOD set, and their mean and spread."""

import itertools
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ood_bench.data.imageset import titled
from ood_bench.errors import RecordError
from ood_bench.papers.block import Block
from ood_bench.results import Record
from ood_bench.results.schema import Metric

Kind = Literal["metrics", "exact", "selective"]
"""Which of a record's groups of metrics: the paper's convention, exact ones, or those of correctness and rejection."""


@dataclass(frozen=True)
class Stat:
    """One metric over the networks of a row, in percent.

    One checkpoint scored under several seeds is one network, whose value and interval are the means over its seeds.

    Attributes:
        mean: mean over networks.
        std: sample standard deviation over networks (``ddof=1``), none for one network.
        n: number of networks.
        low: mean over networks of the lower end of the 95 % bootstrap interval, none if a record has none.
        high: mean of the upper end.
        population: whether tables show the population standard deviation (``ddof=0``) instead.
    """

    mean: float
    std: float | None
    n: int
    low: float | None
    high: float | None
    population: bool = False

    @property
    def shown_std(self) -> float | None:
        """The standard deviation that tables show."""
        if self.std is None or not self.population:
            return self.std
        return self.std * math.sqrt((self.n - 1) / self.n)


@dataclass(frozen=True)
class Row:
    """One method, variant and OOD set on the same kind of images, over seeds.

    Attributes:
        method: method name.
        variant: its variant, or empty.
        ood: name of the OOD set.
        id_title: ID set with its variant, what was trained on if that is another, and whose weights were imported.
        ood_title: OOD set with its variant.
        records: by seed, several of one seed where the row averages over OOD sets; empty for a cell that was not run.
        averages: whether it averages over OOD sets.
        population: whether its spread is shown as the population standard deviation.
        remarks: notes of people on it.
    """

    method: str
    variant: str
    ood: str
    id_title: str
    ood_title: str
    records: tuple[Record, ...]
    averages: bool = False
    population: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The method as tables print it."""
        return titled(self.method, self.variant)

    @property
    def imported(self) -> bool:
        """Whether all of its networks were published by somebody."""
        return all(network.recipe == "imported" for record in self.records for network in record.checkpoint.networks)

    @property
    def shares_networks(self) -> bool:
        """Whether ensembles that count as different ones have members in common."""
        checkpoints = {record.checkpoint.identity: record.checkpoint.networks for record in self.records}
        members = [{network.identity for network in networks} for networks in checkpoints.values()]
        return sum(map(len, members)) > len(set().union(*members))

    @property
    def networks(self) -> int:
        """Number of networks (or ensembles) that were scored."""
        return len({record.checkpoint.identity for record in self.records})

    def draws(self, metric: str) -> list[float]:
        """The different values of a metric by seed: equal ones are one draw of rows, scored again."""
        by_seed: dict[int, list[float]] = {}
        for one in self.records:
            if metric in one.metrics:
                by_seed.setdefault(one.seed, []).append(one.metrics[metric].value)
        return sorted({statistics.fmean(values) for values in by_seed.values()})

    def stat(self, metric: str, kind: Kind = "metrics") -> Stat | None:
        """Mean and spread of a metric, by default in the paper's convention, none if no record has it.

        A row that averages over OOD sets has one value for each network, the mean over the sets, and no interval.
        """
        by_network: dict[str, list[Metric]] = {}
        for record in self.records:
            measured: dict[str, Metric] = getattr(record, kind)
            if metric in measured:
                by_network.setdefault(record.checkpoint.identity, []).append(measured[metric])
        if not by_network:
            return None
        networks = list(by_network.values())
        values = [statistics.fmean(one.value for one in network) for network in networks]
        return Stat(
            mean=statistics.fmean(values),
            std=statistics.stdev(values) if len(values) > 1 else None,
            n=len(values),
            low=None if self.averages else _mean_end([[one.low for one in network] for network in networks]),
            high=None if self.averages else _mean_end([[one.high for one in network] for network in networks]),
            population=self.population,
        )


def _mean_end(ends: Sequence[Sequence[float | None]]) -> float | None:
    """Mean over networks of the mean over each one's records of an end of the interval; none if one is missing."""
    known = [[end for end in network if end is not None] for network in ends]
    return statistics.fmean(map(statistics.fmean, known)) if known == ends else None


def _id_title(record: Record, block: Block | None) -> str:
    trained, tested = record.data.id_train, record.data.id_test
    if record.from_scores is not None or trained is None:
        return f"{tested.title}, from scores"
    if block is not None and block.owns(record):
        return f"{tested.title}, the authors' weights"
    if all(network.recipe == "imported" for network in record.checkpoint.networks):
        return f"{tested.title}, imported weights {record.checkpoint.identity[:8]}"
    return tested.title + (f", trained on {trained.title}" if trained.variant != tested.variant else "")


def gather(records: Iterable[Record], block: Block | None = None) -> list[Row]:
    """Groups records into rows, sorted by name.

    Args:
        records: any records.
        block: the block that they are compared with, whose authors' networks are one row together; others are not.

    Raises:
        RecordError: if a row has one seed twice, or seeds that differ in more than the seed.
    """

    def key(record: Record) -> tuple[str, ...]:
        """What the records of a row have in common."""
        group = (record.id, record.model, record.protocol)
        return *group, record.method, record.variant, record.ood, _id_title(record, block), record.data.ood.title

    ordered = sorted(records, key=lambda record: (key(record), record.seed, record.cell_key))
    rows = []
    for (*_, method, variant, ood, id_title, ood_title), group in itertools.groupby(ordered, key=key):
        rows.append(Row(method, variant, ood, id_title, ood_title, tuple(group)))
        _refuse_mixtures(rows[-1])
    return rows


def _refuse_mixtures(row: Row) -> None:
    place = f"{row.label} on {row.ood_title}"
    for one, other in itertools.pairwise(row.records):
        files = " and ".join(f"seed{record.seed}-{record.cell_key}.json" for record in (one, other))
        if one.seed == other.seed:
            raise RecordError(
                f"{place}: two results for seed {one.seed}, of different settings ({files}): a table averages over "
                "seeds only. Set one aside (`ood-bench report --set-aside FILE`), or run one as a `variant`."
            )
        known = _in_common(other)
        if differing := [what for what, value in _in_common(one).items() if value != known[what]]:
            raise RecordError(
                f"{place}: seeds of different {' and '.join(differing)} ({files}): a table averages over seeds",
                "set one aside (`ood-bench report --set-aside FILE`), or run it again like the other",
            )


def _in_common(record: Record) -> dict[str, Any]:
    """What the seeds of a row must not differ in, beside what names the row."""
    how, data = record.evaluation, record.data
    return {
        "conventions": (how.convention, how.positive),
        "training": {(network.model, network.recipe, network.epochs) for network in record.checkpoint.networks},
        "images": [used and used.fingerprint for used in (data.id_train, data.id_test, data.ood)],
        "row counts": (record.n_id, record.n_ood),
    }


def _averages(rows: Sequence[Row], mean: str, members: Sequence[str]) -> list[Row]:
    """One row for each method that has all of the OOD sets of a mean, with the networks that do.

    Where a set was scored in several variants, each choice of variants has a mean of its own, which names them.
    """
    groups: dict[tuple[str, str, str], dict[str, list[Row]]] = {}
    for row in rows:
        if row.ood in members:
            groups.setdefault((row.method, row.variant, row.id_title), {}).setdefault(row.ood, []).append(row)
    found = []
    for (method, variant, id_title), sets in groups.items():
        choices = list(itertools.product(*(sets.get(name, []) for name in members)))
        for choice in choices:
            whole = set.intersection(*({_network(record) for record in row.records} for row in choice))
            records = tuple(record for row in choice for record in row.records if _network(record) in whole)
            several = ", ".join(row.ood_title for row in choice if len(sets[row.ood]) > 1)
            title = f"{mean} with {several}" if several else mean
            if records:
                found.append(Row(method, variant, mean, id_title, title, records, averages=True))
    return found


def _network(record: Record) -> tuple[int, str]:
    """The seed and the network that it scored."""
    return record.seed, record.checkpoint.identity


def arrange(rows: Sequence[Row], block: Block) -> list[Row]:
    """A block's rows in the paper's order, OOD set by OOD set, with an empty row for every cell that was not run."""
    means = [row for name, members in block.means.items() for row in _averages(rows, name, members)]
    rows = [*(row for row in rows if row.ood in block.ood and row.ood not in block.means), *means]
    there = {(row.method, row.ood) for row in rows if not row.variant}
    cells = itertools.product(block.ood, block.methods)
    missing = [Row(method, "", ood, block.id, ood, ()) for ood, method in cells if (method, ood) not in there]
    shown = [replace(row, population=block.spread == "population") for row in (*rows, *missing)]

    def place(row: Row) -> tuple[int, int, str, str, str]:
        return block.ood.index(row.ood), block.methods.index(row.method), row.variant, row.id_title, row.ood_title

    return sorted(shown, key=place)
