"""Paired tests of every two methods that scored the same images."""

import csv
import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ood_bench.data.imageset import Array, Rows
from ood_bench.errors import ArtifactError
from ood_bench.metrics.paired import bootstrap_difference, delong
from ood_bench.report.csv_files import as_csv
from ood_bench.report.rows import gather
from ood_bench.results import Record
from ood_bench.results.scores import Scores, ScoreStore
from ood_bench.utils.files import clear_io_errors

COLUMNS = (
    "id", "model", "protocol", "ood", "seed", "first", "second", "n_id", "n_ood", "first_auroc", "second_auroc",
    "difference", "low", "high", "p", "bootstrap_low", "bootstrap_high", "first_cell", "second_cell",
)  # fmt: skip
PAIRED = "paired"
"""Folder of these tests below a results folder."""
_NUMBERS = ("first_auroc", "second_auroc", "difference", "low", "high", "p", "bootstrap_low", "bootstrap_high")
_log = logging.getLogger("ood_bench.report.paired")


class _Side(NamedTuple):
    """One method's record and scores."""

    label: str
    record: Record
    scores: Scores


def compared(first: Scores, second: Scores) -> tuple[tuple[Array, Array], tuple[Array, Array]] | None:
    """ID and OOD scores of both on the rows that both scored, in order of rows; none where there are too few.

    Rows that a method scored twice count once.
    """
    sides = []
    for name in ("id", "ood"):
        one, other = (_by_row(getattr(each, name), getattr(each, f"{name}_rows")) for each in (first, second))
        if one is None or other is None:
            return None
        common, at_one, at_other = np.intersect1d(one[0], other[0], assume_unique=True, return_indices=True)
        if len(common) < 2:
            return None
        sides.append((one[1][at_one], other[1][at_other]))
    (id_one, id_other), (ood_one, ood_other) = sides
    return (id_one, ood_one), (id_other, ood_other)


def _by_row(scores: Array, rows: Rows | None) -> tuple[Rows, Array] | None:
    if rows is None:
        return None
    distinct, first = np.unique(rows, return_index=True)
    return distinct, scores[first]


def tests(records: Iterable[Record], store: ScoreStore, resamples: int) -> Iterator[dict[str, str]]:
    """One line of text values, by :data:`COLUMNS`, for every pair of methods on the same images, weights and seed.

    Args:
        records: any records; those of other images, models, imported weights, protocols or seeds are never paired.
        store: where scores are kept.
        resamples: of the bootstrap.

    Raises:
        RecordError: if records contradict each other.
        ArtifactError: if scores are damaged.
    """
    groups: dict[tuple[Any, ...], list[_Side]] = {}
    for row in gather(records):
        for record in row.records:
            if (scores := store.read(record.cell_key)) is None:
                _log.warning("no scores of %s on %s, seed %d: left out", row.label, row.ood_title, record.seed)
                continue
            images = row.id_title, record.data.id_test.fingerprint, record.data.ood.fingerprint
            place = record.id, record.model, record.protocol, record.ood, record.seed, images
            groups.setdefault(place, []).append(_Side(row.label, record, scores))
    for place, sides in sorted(groups.items()):
        for first, second in itertools.combinations(sides, 2):
            if line := _test(first, second, resamples):
                yield dict(zip(COLUMNS, map(str, place[:5]), strict=False)) | line


def _test(first: _Side, second: _Side, resamples: int) -> dict[str, str]:
    pair = compared(first.scores, second.scores)
    if pair is None:
        _log.warning("%s and %s have no rows in common that are known: not compared", first.label, second.label)
        return {}
    found = delong(*pair)
    low, high = bootstrap_difference(*pair, resamples=resamples)
    numbers = {
        "first_auroc": found.first, "second_auroc": found.second, "difference": found.difference,
        "low": found.low, "high": found.high, "bootstrap_low": low, "bootstrap_high": high,
    }  # fmt: skip
    return {
        "first": first.label,
        "second": second.label,
        "n_id": str(pair[0][0].size),
        "n_ood": str(pair[0][1].size),
        "p": f"{found.p:.3g}",
        "first_cell": first.record.cell_key,
        "second_cell": second.record.cell_key,
    } | {name: f"{value:.4f}" for name, value in numbers.items()}


def csv_files(lines: Iterable[dict[str, str]]) -> dict[str, str]:
    """CSV text by file name: a file for each ID set, model and protocol."""
    files: dict[str, list[dict[str, str]]] = {}
    for line in lines:
        files.setdefault(f"{line['id']}-{line['model']}-{line['protocol']}.csv", []).append(line)
    return {name: as_csv(COLUMNS, mine) for name, mine in files.items()}


def read(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The tests of a folder by the cell keys of both methods, as the page shows them.

    Args:
        folder: where :mod:`ood_bench.report.compare` wrote its CSV files; need not exist.

    Raises:
        ArtifactError: if a file cannot be read or is not of that form.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("*.csv")):
        with clear_io_errors("read paired tests", path):
            text = path.read_text(encoding="utf-8")
        try:
            for line in csv.DictReader(text.splitlines()):
                _add(found, line)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{path}: not a file of ood-bench compare ({error!r}): delete it") from error
    return found


def _add(found: dict[str, list[dict[str, Any]]], line: Mapping[str, str]) -> None:
    """Adds one test to both methods, each time from that method's point of view."""
    numbers = {name: float(line[name]) for name in _NUMBERS}
    shared = {"seed": int(line["seed"]), "p": numbers["p"], "n": [int(line["n_id"]), int(line["n_ood"])]}
    signs = {"first": 1.0, "second": -1.0}
    for me, sign in signs.items():
        other = "second" if me == "first" else "first"
        low, high = sorted((sign * numbers["low"], sign * numbers["high"]))
        boot = sorted((sign * numbers["bootstrap_low"], sign * numbers["bootstrap_high"]))
        seen = {"other": line[other], "d": sign * numbers["difference"], "ci": [low, high], "boot": boot}
        found.setdefault(line[f"{me}_cell"], []).append(shared | seen)
