"""Two metric conventions beside each other on the same kept scores: numbers, differences, changed places."""

import logging
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ood_bench.errors import ConfigError, OodBenchError
from ood_bench.explain.ends import protocol_named
from ood_bench.explain.find import classes_named
from ood_bench.explain.multiverse import Multiverse
from ood_bench.explain.numbers import number
from ood_bench.explain.ranked import Ranked
from ood_bench.explain.rebuilt import detector_of
from ood_bench.explain.rules import METRICS, asked, name_in, rules_of
from ood_bench.metrics import MetricError
from ood_bench.report.rows import Row, gather
from ood_bench.results import Record
from ood_bench.results.scores import ScoreStore

SHOWN: Final = ("auroc", "fpr95", "aupr_in", "aupr_out")
MEAN: Final = "mean"
_log = logging.getLogger("ood_bench.explain")
Two = tuple[float | None, float | None]
"""A number under each of the conventions, none where one has no number for the scores."""


@dataclass(frozen=True)
class Beside:
    """One network's methods under two conventions.

    Attributes:
        model: the network's name.
        images: the ID set with its variant, and whose weights were imported.
        protocol: the records' protocol, which chose rows and hyperparameters.
        conventions: names of the two.
        oods: the OOD sets with their variants, in order.
        numbers: by metric, method and OOD set (or :data:`MEAN`), percent under both, each the mean over seeds.
    """

    model: str
    images: str
    protocol: str
    conventions: tuple[str, str]
    oods: tuple[str, ...]
    numbers: Mapping[str, Mapping[str, Mapping[str, Two]]]

    def differences(self, metric: str, ood: str) -> list[float]:
        """Second minus first, for each method that has both numbers."""
        pairs = (mine[ood] for mine in self.numbers[metric].values())
        return [b - a for a, b in pairs if a is not None and b is not None]

    def changed(self, metric: str, ood: str) -> tuple[int, int]:
        """How many pairs of methods change places, and of how many that have all four numbers."""
        values = {method: mine[ood] for method, mine in self.numbers[metric].items() if None not in mine[ood]}
        swaps = Multiverse(metric, (), values).swaps()
        return sum(swap.behind > 0 and swap.ahead > 0 for swap in swaps), len(swaps)


def two_conventions(words: str) -> tuple[str, str]:
    """The two conventions of ``FIRST,SECOND``.

    Raises:
        ConfigError: if these are not two that are known.
    """
    names = words.split(",")
    if len(names) != 2 or names[0] == names[1] or not set(names) <= set(METRICS):
        raise ConfigError(f"--conventions {words!r} does not name two", f"name two of {', '.join(METRICS)}")
    return names[0], names[1]


def beside(
    records: Iterable[Record],
    store: Path,
    conventions: tuple[str, str],
    methods: Sequence[str] = (),
    own: tuple[Path, ...] = (),
) -> list[Beside]:
    """One table for each network, ID set and protocol.

    Args:
        records: any records.
        store: the artifact store with their scores.
        conventions: names of the two.
        methods: names of the methods that are wanted; none for all.
        own: folders of configs beside the shipped one.

    Raises:
        ConfigError: if no scores were kept, or a method has no record.
    """
    wanted = [record for record in records if not methods or record.method in methods]
    if unknown := sorted(set(methods) - {record.method for record in wanted}):
        raise ConfigError(f"no record of method {', '.join(unknown)}", "name methods of these results, or leave it out")
    groups: dict[tuple[str, str, str], dict[tuple[str, str], dict[str, Two]]] = {}
    scores = ScoreStore(store / "scores")
    for row in gather(wanted):
        one = row.records[0]
        if found := _numbers(row, scores, conventions, own):
            cells = groups.setdefault((one.model, row.id_title, one.protocol), {})
            cells[row.label, row.ood_title] = found
    if not groups:
        raise ConfigError(
            f"{store} has no scores of these records",
            "score them again with scoring.details=all and the same store.root, or name another by --store",
        )
    return [_whole(*place, conventions, cells) for place, cells in sorted(groups.items())]


def in_common(conventions: tuple[str, str]) -> list[str]:
    """Those of :data:`SHOWN` that both conventions have."""
    found = []
    for metric in SHOWN:
        try:
            found += [metric] if all(name_in(convention, metric) for convention in conventions) else []
        except MetricError:
            continue
    return found


def _numbers(row: Row, store: ScoreStore, conventions: tuple[str, str], own: tuple[Path, ...]) -> dict[str, Two]:
    """By metric both numbers, each the mean over the row's records; nothing where scores are missing."""
    metrics, found = in_common(conventions), list[dict[str, Two]]()
    for record in row.records:
        kept = store.read(record.cell_key)
        if kept is None:
            _log.warning("no scores of %s on %s, seed %d: left out", row.label, row.ood_title, record.seed)
            return {}
        ranked = Ranked(kept.id, kept.ood)
        sides = [{metric: _one(record, ranked, name, metric, own) for metric in metrics} for name in conventions]
        found.append({metric: (sides[0][metric], sides[1][metric]) for metric in metrics})
    return {metric: _means([one[metric] for one in found]) for metric in metrics}


def _one(record: Record, ranked: Ranked, convention: str, metric: str, own: tuple[Path, ...]) -> float | None:
    """A number in a convention; where ODIN's code ranks probabilities, logarithms of them are taken as such."""
    options: Mapping[str, Any] = {}
    if convention == "odin":
        ranked = ranked.probabilities if _of_probabilities(record, own) else ranked
        protocol = protocol_named("odin", classes_named(record.id, own) or 0)
        setting = {name: value for name, value in record.hyperparameters.items() if isinstance(value, (int, float))}
        options = protocol.convention_options(record.method, setting, (ranked.ids, ranked.oods))
    rules = rules_of(convention, name_in(convention, metric), options)
    try:
        return number(ranked, asked(metric), rules)
    except MetricError as error:
        _log.warning("%s on %s, %s of %s: %s", record.method, record.ood, metric, convention, error.message)
        return None


def _of_probabilities(record: Record, own: tuple[Path, ...]) -> bool:
    try:
        return detector_of(record, own).paper_revision > 0
    except OodBenchError:
        return False


def _means(pairs: Sequence[Two]) -> Two:
    """The mean of each side; none where one is missing."""
    first, second = (
        None if None in side else statistics.fmean(value for value in side if value is not None)
        for side in zip(*pairs, strict=True)
    )
    return first, second


def _whole(
    model: str,
    images: str,
    protocol: str,
    conventions: tuple[str, str],
    cells: Mapping[tuple[str, str], Mapping[str, Two]],
) -> Beside:
    """The table of those methods that have all OOD sets."""
    oods = sorted({ood for _, ood in cells})
    names = sorted({method for method, _ in cells})
    methods = [name for name in names if all((name, ood) in cells for ood in oods)]
    if left := sorted(set(names) - set(methods)):
        _log.warning("%s on %s: without %s, which lack OOD sets", model, images, ", ".join(left))
    numbers: dict[str, dict[str, dict[str, Two]]] = {metric: {} for metric in in_common(conventions)}
    for metric, mine in numbers.items():
        for name in methods:
            values = {ood: cells[name, ood][metric] for ood in oods}
            mine[name] = {MEAN: _means(list(values.values())), **values}
    return Beside(model, images, protocol, conventions, tuple(oods), numbers)
