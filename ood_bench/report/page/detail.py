"""What the page shows of a row when it is opened, one piece a row."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from ood_bench.report.explanations import NONE, Explanations, ladders_of
from ood_bench.report.format import NOTHING, metric_order, number
from ood_bench.report.page import why
from ood_bench.report.page.links import of_method
from ood_bench.report.page.settings import PageSettings
from ood_bench.report.page.shared import Shared
from ood_bench.report.rows import Kind, Row
from ood_bench.results import Record, RecordStore
from ood_bench.results.details import Details, Line
from ood_bench.results.schema import Metric, Network

Json = dict[str, Any]
_UNIT = 10_000
_SHORT = 12
_KINDS: tuple[Kind, ...] = ("metrics", "exact", "selective")


class Beside(NamedTuple):
    """What stands beside records, by cell key.

    Attributes:
        details: what charts are drawn from.
        tests: paired tests.
        explained: ladders.
        images: keys of the cells whose thumbnails are kept.
    """

    details: Mapping[str, Details] = MappingProxyType({})
    tests: Mapping[str, Sequence[Json]] = MappingProxyType({})
    explained: Explanations = NONE
    images: frozenset[str] = frozenset()


def detail(row: Row, shared: Shared, beside: Beside, settings: PageSettings) -> Json:
    """A row with records; of an average neither charts, nor ladders, nor paired tests.

    Args:
        row: the row.
        shared: takes what other rows repeat.
        beside: charts, tests and ladders.
        settings: say where the repository is.
    """
    texts = _Distinct(shared)
    how = row.records[0].evaluation
    found: Json = {
        "seeds": [_seed(record, row, shared, beside) for record in row.records],
        **_kinds(row.records),
        "evaluation": {
            "convention": how.convention,
            "positive": how.positive,
            "description": shared.place(how.description),
            "rows": texts(row.records, lambda one: [one.evaluation.rows]),
            "tuned_on": texts(row.records, lambda one: [one.evaluation.tuned_on]),
        },
        "images": texts(row.records, _images),
        "deviations": texts(row.records, lambda one: one.deviations),
        "notes": texts(row.records, lambda one: one.notes),
        "remarks": [shared.place(text) for text in row.remarks],
        "links": shared.place(of_method(row.method, settings)),
    }
    if not row.averages:
        found["ladders"] = why.ladders(ladders_of([one.cell_key for one in row.records], beside.explained))
        found["tests"] = [line for one in row.records for line in beside.tests.get(one.cell_key, ())]
    return {key: value for key, value in found.items() if value not in ([], {})}


class _Distinct:
    """The different values that some records have, as numbers of shared ones."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def __call__(self, records: Sequence[Record], values: Callable[[Record], Iterable[Any]]) -> list[int]:
        places = (self._shared.place(value) for one in records for value in values(one))
        return list(dict.fromkeys(places))


def _images(record: Record) -> list[list[Any]]:
    return [[role, one.title, one.n, (one.fingerprint or NOTHING)[:_SHORT]] for role, one in record.data.by_role]


def _kinds(records: Sequence[Record]) -> Json:
    """All metrics by kind; 0 stands for an exact one that is the same in the paper's convention."""
    found: Json = {kind: _metrics(records, kind) for kind in _KINDS}
    same = [name for name, values in found["exact"].items() if found["metrics"].get(name) == values]
    found["exact"] |= dict.fromkeys(same, 0)
    return found


def _metrics(records: Sequence[Record], kind: Kind) -> dict[str, list[str]]:
    """By metric, value and interval of each record as tables print them, ``"77.00 76.50 77.25"``; empty for none."""
    measured: list[Mapping[str, Metric]] = [getattr(record, kind) for record in records]
    names = metric_order(name for one in measured for name in one)
    return {name: [_numbers(one.get(name)) for one in measured] for name in names}


def _numbers(metric: Metric | None) -> str:
    if metric is None:
        return ""
    return " ".join(number(value, 2) for value in (metric.value, metric.low, metric.high) if value is not None)


def _seed(record: Record, row: Row, shared: Shared, beside: Beside) -> Json:
    where = record.environment
    packages = ", ".join(f"{name} {version}" for name, version in sorted(where.packages.items()))
    machine = f"{where.device}, {where.cpu or where.platform}; Python {where.python}; {packages}"
    revision = where.git_revision[:_SHORT] + (" with changes" if where.git_dirty else "")
    path = RecordStore(Path()).path(record)
    found: Json = {
        "name": f"seed {record.seed}" + (f", {record.data.ood.title}" if row.averages else ""),
        "seed": record.seed,
        "key": record.cell_key,
        "n": [record.n_id, record.n_ood],
        "settings": shared.place(dict(record.hyperparameters)),
        "networks": [shared.place(_network(one)) for one in record.checkpoint.networks],
        "folder": shared.place(path.parent.as_posix()),
        "made": [shared.place(machine), shared.place(revision), record.created, round(record.seconds, 1)],
    }
    if (tuning := _tuning(record, shared)) is not None:
        found["tuning"] = tuning
    if not row.averages and (details := beside.details.get(record.cell_key)) is not None:
        found["details"] = packed(details, record.cell_key in beside.images)
    return found


def _network(one: Network) -> list[Any]:
    accuracy = NOTHING if one.id_accuracy is None else number(one.id_accuracy, 2)
    return [one.model, one.recipe, one.seed, one.epochs, accuracy, (one.weights_sha256 or NOTHING)[:_SHORT]]


def _tuning(record: Record, shared: Shared) -> Json | None:
    """The search as columns, if something was searched."""
    tuning = record.tuning
    if tuning is None or not len(tuning.curve) == len(tuning.candidates) > 1:
        return None
    keys = sorted({key for candidate in tuning.candidates for key in candidate})
    return {
        "objective": shared.place(tuning.objective),
        "columns": shared.place({key: [candidate.get(key) for candidate in tuning.candidates] for key in keys}),
        "curve": [None if point[0] is None else round(point[0], 2) + 0.0 for point in tuning.curve],
    }


def packed(details: Details, images: bool) -> Json:
    """What is drawn of a cell, with curves as whole steps of 1/10,000 from point to point."""
    found: Json = {"histogram": msgspec.to_builtins(details.histogram)}
    if images:
        found["images"] = msgspec.to_builtins(details.images)
    return found | {name: _steps(getattr(details, name)) for name in ("roc", "pr_in", "pr_out")}


def _steps(line: Line) -> list[list[int]]:
    found = []
    for values in (line.x, line.y):
        places = [round(value * _UNIT) for value in values]
        found.append([place - before for before, place in zip([0, *places], places, strict=False)])
    return found
