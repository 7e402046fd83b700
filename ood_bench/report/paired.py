"""``ood-bench compare``: paired tests of every two methods that scored the same images."""

import argparse
import csv
import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ood_bench.config import default_data_root
from ood_bench.data.imageset import Array, Rows
from ood_bench.errors import ArtifactError, ConfigError
from ood_bench.metrics.paired import bootstrap_difference, delong
from ood_bench.report import means, rank_plot, ranks
from ood_bench.report.csv_files import as_csv
from ood_bench.report.rows import gather
from ood_bench.results import Record, RecordStore
from ood_bench.results.scores import Scores, ScoreStore
from ood_bench.utils.console import existing, one_message, plain_log
from ood_bench.utils.files import clear_io_errors, write_atomically

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
        folder: where :func:`main` wrote its CSV files; need not exist.

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


def build_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = argparse.ArgumentParser(
        prog="ood-bench compare",
        description="Tests every two methods that scored the same images: DeLong's test and a paired bootstrap.",
    )
    store = Path(default_data_root()) / "store"
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="default: results")
    parser.add_argument("--store", type=Path, default=store, metavar="DIR", help=f"artifact store; default: {store}")
    parser.add_argument("--resamples", type=int, default=1000, metavar="N", help="of the bootstrap; default: 1000")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--means", action="store_true", help="mean AUROC over OOD sets, each method against its network's best"
    )
    instead.add_argument(
        "--ranks", action="store_true", help="ranks over networks, with tests and a plot; needs no scores"
    )
    return parser


@one_message
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; gives 0, or 2 for what the user has to fix, such as scores that were not kept."""
    plain_log()
    chosen = build_parser().parse_args(arguments)
    records = RecordStore(existing("--results", chosen.results)).load()
    if chosen.ranks:
        return _rank(records, chosen.results)
    scores = ScoreStore(chosen.store / "scores")
    if chosen.means:
        files = means.csv_files(means.tests(records, scores))
    else:
        files = csv_files(tests(records, scores, chosen.resamples))
    if not files:
        raise ConfigError(
            f"{chosen.results} has no two records whose scores are in {chosen.store}",
            "score the cells again with scoring.details=all and the same store.root",
        )
    for name, text in files.items():
        path = chosen.results / PAIRED / name
        write_atomically(path, text.encode())
        _log.info("wrote %s: %d tests", path, text.count("\n") - 1)
    return 0


def _rank(records: Iterable[Record], results: Path) -> int:
    """``--ranks``: tables and plots of every ranking, and what each cannot say."""
    found = ranks.rankings(records)
    if not found:
        raise ConfigError(
            f"{results} has no three methods that two networks scored on all of their OOD sets",
            "ranks are taken over networks: run more seeds, or more checkpoints",
        )
    files = {f"{PAIRED}/{name}": text.encode() for name, text in ranks.csv_files(found).items()}
    files |= {f"plots/{name}": content for name, content in rank_plot.of(found).items()}
    for name, content in files.items():
        write_atomically(results / name, content)
        _log.info("wrote %s", results / name)
    for (protocol, images), ranking in found.items():
        _log.info("%s, %s: %s", protocol, images or "all ID sets", ranking.summary)
    return 0
