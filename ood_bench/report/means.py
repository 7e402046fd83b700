"""``ood-bench compare --means``: mean AUROC over OOD sets with its interval, and each method against the best."""

import csv
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ood_bench.data.imageset import Array, Rows
from ood_bench.errors import ArtifactError
from ood_bench.metrics.paired import delong_of_means, holm, mean_auroc
from ood_bench.report.csv_files import as_csv
from ood_bench.report.networks import by_network
from ood_bench.report.rows import gather
from ood_bench.results import Record
from ood_bench.results.scores import Scores, ScoreStore
from ood_bench.utils.files import clear_io_errors

FOLDER = "means"
"""Below the folder of paired tests."""
COLUMNS = (
    "id", "model", "protocol", "seed", "weights", "method", "sets", "n_id", "auroc", "low", "high", "best", "behind",
    "behind_low", "behind_high", "p", "p_holm",
)  # fmt: skip
_LEVEL = 0.05
_log = logging.getLogger("ood_bench.report.paired")
_Pairs = dict[str, dict[str, Scores]]
"""Scores by method and OOD set."""


def tests(records: Iterable[Record], store: ScoreStore) -> list[dict[str, str]]:
    """One line of text values, by :data:`COLUMNS`, for each method of each network, seed and protocol, best first.

    A method is compared with the best by DeLong's test of the two means on the rows that all methods scored; ``p_holm``
    is Holm's over the network's methods. Methods that lack one of the sets are left out with a warning.

    Args:
        records: any records.
        store: where scores are kept.

    Raises:
        RecordError: if records contradict each other.
        ArtifactError: if scores are damaged.
    """
    groups: dict[tuple[str, ...], _Pairs] = {}
    scored: dict[tuple[str, ...], list[Record]] = {}
    for row in gather(records):
        for record in row.records:
            scores = store.read(record.cell_key)
            if scores is None or scores.id_rows is None or scores.ood_rows is None:
                _log.warning("no scores of %s on %s, seed %d: left out", row.label, row.ood_title, record.seed)
                continue
            place = record.data.id_test.title, record.model, record.protocol, str(record.seed)
            groups.setdefault((*place, row.id_title), {}).setdefault(row.label, {})[row.ood_title] = scores
            scored.setdefault((*place, row.id_title), []).append(record)
    lines: list[dict[str, str]] = []
    for names_of, found in sorted(groups.items()):
        network, *_ = by_network(scored[names_of])
        names = dict(zip(COLUMNS, (*names_of[:4], network.short), strict=False))
        lines += [names | line for line in _lines(found)]
    return lines


def _lines(every: _Pairs) -> list[dict[str, str]]:
    sets = sorted(set().union(*every.values()))
    whole = {label: found for label, found in every.items() if set(found) == set(sets)}
    for label in every.keys() - whole.keys():
        _log.warning("%s lacks some of %s: left out", label, ", ".join(sets))
    if len(whole) < 2:
        return []
    pairs = _on_common_rows(whole, sets)
    means = {label: mean_auroc(found) for label, found in pairs.items()}
    order = sorted(means, key=lambda label: (-means[label][0], label))
    best = order[0]
    found = [delong_of_means(pairs[best], pairs[label]) for label in order[1:]]
    adjusted = holm([one.p for one in found])
    n_id = len(pairs[best][0][0])
    lines = []
    for label, test, together in zip(order, [None, *found], [None, *adjusted], strict=True):
        numbers: dict[str, Any] = dict(zip(("auroc", "low", "high"), means[label], strict=True))
        if test is not None:
            numbers |= {"behind": test.difference, "behind_low": test.low, "behind_high": test.high}
        line = {"method": label, "sets": str(len(sets)), "n_id": str(n_id), "best": best}
        line |= {name: f"{value:.4f}" for name, value in numbers.items()}
        if test is not None and together is not None:
            line |= {"p": f"{test.p:.3g}", "p_holm": f"{together:.3g}"}
        lines.append(line)
    return lines


def _on_common_rows(every: _Pairs, sets: Sequence[str]) -> Mapping[str, list[tuple[Array, Array]]]:
    """ID and OOD scores of each method, set by set, on the rows that every method scored, in order of rows."""
    ids = _common(scores.id_rows for found in every.values() for scores in found.values())
    oods = {one: _common(found[one].ood_rows for found in every.values()) for one in sets}
    return {
        label: [
            (_at(found[one].id, found[one].id_rows, ids), _at(found[one].ood, found[one].ood_rows, oods[one]))
            for one in sets
        ]
        for label, found in every.items()
    }


def _common(rows: Iterable[Rows | None]) -> Rows:
    return reduce(np.intersect1d, [one for one in rows if one is not None])


def _at(scores: Array, rows: Rows | None, wanted: Rows) -> Array:
    """Scores of the wanted rows; of a row that was scored twice the first."""
    assert rows is not None  # noqa: S101 - those without are left out
    distinct, first = np.unique(rows, return_index=True)
    return scores[first[np.searchsorted(distinct, wanted)]]


def csv_files(lines: Iterable[dict[str, str]]) -> dict[str, str]:
    """CSV text by file name, a file for each network and protocol."""
    files: dict[str, list[dict[str, str]]] = {}
    for line in lines:
        files.setdefault(f"{line['model']}-{line['protocol']}.csv", []).append(line)
    return {f"{FOLDER}/{name}": as_csv(COLUMNS, mine) for name, mine in files.items()}


class Mean(NamedTuple):
    """A method's mean AUROC over OOD sets on one network, in percent.

    Attributes:
        auroc: the mean.
        half: half of its 95 % interval by DeLong.
        sets: number of OOD sets.
        level: whether it is not told apart from the network's best method at 5 % (Holm over the network's methods).
    """

    auroc: float
    half: float
    sets: int
    level: bool


def read(folder: Path) -> dict[tuple[str, str, str, str], Mean]:
    """What :func:`csv_files` gave, by ID images, protocol, weights and method; of weights with several seeds nothing.

    Args:
        folder: that of the paired tests; need not exist.

    Raises:
        ArtifactError: if a file cannot be read or is not of that form.
    """
    found: dict[tuple[str, str, str, str], list[Mean]] = {}
    for path in sorted((folder / FOLDER).glob("*.csv")):
        with clear_io_errors("read tests of means", path):
            text = path.read_text(encoding="utf-8")
        try:
            for line in csv.DictReader(text.splitlines()):
                half = (float(line["high"]) - float(line["low"])) / 2
                level = not line["p_holm"] or float(line["p_holm"]) >= _LEVEL
                key = line["id"], line["protocol"], line["weights"], line["method"]
                found.setdefault(key, []).append(Mean(float(line["auroc"]), half, int(line["sets"]), level))
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{path}: not a file of ood-bench compare --means ({error!r}): delete it") from error
    return {key: seeds[0] for key, seeds in found.items() if len(seeds) == 1}
