"""The page's data: a light overview that is read at once, and one piece a row that is read when the row is opened."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from ood_bench.papers.methods import methods
from ood_bench.report.explanations import NONE, Explanations, ladders_of
from ood_bench.report.format import NOTHING, decimals, interval, metric_title, number
from ood_bench.report.page import why
from ood_bench.report.rows import Row, Stat
from ood_bench.report.sections import Section
from ood_bench.report.verdicts import Verdict, flags_in_words
from ood_bench.results import Record
from ood_bench.results.details import Details
from ood_bench.results.schema import Metric, Network

Json = dict[str, Any]
_PLACES = 4


def rounded(value: float | None) -> float | None:
    """A number with at most four decimals, without a negative zero: short, and equal wherever it is computed."""
    return None if value is None else round(value, _PLACES) + 0.0


Texts = dict[str, int]
"""Long sentences that many records repeat, each kept once and referred to by its number."""


def place_of(texts: Texts, text: str) -> int:
    """The number of a text, which is new if it was not there."""
    return texts.setdefault(text, len(texts))


def overview(sections: Sequence[Section], explained: Explanations = NONE) -> Json:
    """What the page shows at first: sections, rows, and a verdict a cell; ladders of cells that it has no row of."""
    there = {record.cell_key for section in sections for row in section.rows for record in row.records}
    rows: list[Json] = []
    for place, section in enumerate(sections):
        rows += [_row(row, section, place, len(rows) + index) for index, row in enumerate(section.rows)]
    metrics = {metric for section in sections for metric in section.metrics}
    metrics |= {metric for section in sections for row in section.rows for one in row.records for metric in one.exact}
    return {
        "sections": [_section(section, explained) for section in sections],
        "ladders": why.ladders([one for key, mine in explained.ladders.items() if key not in there for one in mine]),
        "rows": rows,
        "titles": {metric: metric_title(metric) for metric in sorted(metrics)},
        "verdicts": {one.value: one.conclusion for one in Verdict},
        "margins": str(sections[0].margins) if sections else "",
    }


def _section(section: Section, explained: Explanations) -> Json:
    block = section.block if section.kind == "paper" else None
    keys = {record.cell_key for row in section.rows for record in row.records}
    known = [one for one in explained.multiverses if one.cell_key in keys]
    return {
        "kind": section.kind,
        "title": section.title,
        "model": section.model,
        "id": section.id,
        "protocol": section.protocol,
        "metrics": list(section.metrics),
        "reference": block.reference if block else "",
        "source": f"{block.csv}.csv, {block.table}" if block else "",
        "command": f"ood-bench paper={block.name}" if block else "",
        "notes": [*block.notes, *flags_in_words(block)] if block else [],
        "says": dict(block.says) if block else {},
        "multiverses": [why.multiverse(one) for one in known],
    }


def _row(row: Row, section: Section, place: int, index: int) -> Json:
    return {
        "i": index,
        "s": place,
        "method": row.method,
        "label": row.label,
        "ood": row.ood_title,
        "id": row.id_title,
        "n": row.networks,
        "seeds": len({record.seed for record in row.records}),
        "cells": [_cell(row, metric, section) for metric in section.metrics],
    }


def _cell(row: Row, metric: str, section: Section) -> Json:
    printed = section.printed(row, metric)
    judged = section.judge(row, metric)
    cell: Json = {"m": metric, "x": judged.verdict.value, "why": judged.reason}
    if printed is not None:
        cell["p"] = printed
    if (stat := row.stat(metric)) is not None:
        cell |= {"v": rounded(stat.mean), "n": stat.n}
        numbers = {"s": stat.shown_std, "lo": stat.low, "hi": stat.high, "t": judged.limit, "c": judged.chance}
        cell |= {key: rounded(value) for key, value in numbers.items() if value is not None}
        cell["said"] = _said(stat, printed)
    return cell


def _said(stat: Stat, printed: str | None) -> dict[str, str]:
    """Our mean, standard deviation and difference from the paper as the tables print them."""
    places = decimals(printed)
    said = {"v": number(stat.mean, places)}
    if stat.shown_std is not None:
        said["s"] = number(stat.shown_std, places)
    if printed is not None:
        said["d"] = number(stat.mean - float(printed), places, sign=True).replace("-", "−")
    return said


class Beside(NamedTuple):
    """What stands beside records, by cell key.

    Attributes:
        details: what charts are drawn from.
        tests: paired tests.
        explained: ladders.
        images: for how many seeds of a row thumbnails are kept.
    """

    details: Mapping[str, Details] = MappingProxyType({})
    tests: Mapping[str, Sequence[Json]] = MappingProxyType({})
    explained: Explanations = NONE
    images: int = 0


def detail(row: Row, texts: Texts, beside: Beside) -> Json:
    """What the page shows of a row with records when it is opened; of an average neither details nor paired tests.

    Args:
        row: the row.
        texts: takes long sentences.
        beside: charts, tests and ladders.
    """
    how = row.records[0].evaluation
    seeds = [_seed(record, row, texts, beside, index) for index, record in enumerate(row.records)]
    sets = [
        (role, used.title, used.n, (used.fingerprint or NOTHING)[:12])
        for one in row.records
        for role, used in one.data.by_role
    ]
    evaluation = {
        "convention": how.convention,
        "positive": how.positive,
        "description": place_of(texts, how.description),
        "rows": _distinct(texts, (record.evaluation.rows for record in row.records)),
        "tuned_on": _distinct(texts, (record.evaluation.tuned_on for record in row.records)),
    }
    return {
        "method": _method(row.method),
        "seeds": seeds,
        "evaluation": evaluation,
        "images": [dict(zip(("role", "title", "n", "fingerprint"), one, strict=True)) for one in dict.fromkeys(sets)],
        "deviations": _distinct(texts, (text for record in row.records for text in record.deviations)),
        "notes": _distinct(texts, (text for record in row.records for text in record.notes)),
        "remarks": [place_of(texts, text) for text in row.remarks],
        "ladders": []
        if row.averages
        else why.ladders(ladders_of([one.cell_key for one in row.records], beside.explained)),
        "tests": [] if row.averages else [line for one in row.records for line in beside.tests.get(one.cell_key, ())],
    }


def _method(name: str) -> Json | None:
    """Paper and code of a shipped method."""
    known = methods().get(name)
    if known is None or known.source is None:
        return None
    return {"paper": known.source.words, "link": known.source.link, "code": known.source.code_words}


def _distinct(texts: Texts, found: Any) -> list[int]:
    return [place_of(texts, text) for text in dict.fromkeys(found)]


def _seed(record: Record, row: Row, texts: Texts, beside: Beside, index: int) -> Json:
    packages = ", ".join(f"{name} {version}" for name, version in sorted(record.environment.packages.items()))
    where = record.environment
    machine = f"{where.device}, {where.cpu or where.platform}; Python {where.python}; {packages}"
    return {
        "name": f"seed {record.seed}" + (f", {record.data.ood.title}" if row.averages else ""),
        "key": record.cell_key,
        "metrics": _metrics(record.metrics),
        "exact": _metrics(record.exact),
        "n_id": record.n_id,
        "n_ood": record.n_ood,
        "settings": dict(record.hyperparameters),
        "tuning": _tuning(record, texts),
        "networks": [_network(one) for one in record.checkpoint.networks],
        "machine": place_of(texts, machine),
        "revision": where.git_revision[:12] + (" with changes" if where.git_dirty else ""),
        "created": record.created,
        "seconds": round(record.seconds, 1),
        "details": None if row.averages else _details(beside.details.get(record.cell_key), index < beside.images),
    }


def _metrics(found: Mapping[str, Metric]) -> Json:
    """Value and interval of each metric as numbers, and as the texts of the tables."""
    return {
        name: [
            *map(rounded, (one.value, one.low, one.high)),
            number(one.value, 2),
            "" if one.low is None else interval(one),
        ]
        for name, one in sorted(found.items())
    }


def _network(one: Network) -> Json:
    names = {"model": one.model, "recipe": one.recipe, "seed": one.seed, "epochs": one.epochs}
    accuracy = NOTHING if one.id_accuracy is None else number(one.id_accuracy, 2)
    return names | {"accuracy": accuracy, "weights": (one.weights_sha256 or NOTHING)[:12]}


def _tuning(record: Record, texts: Texts) -> Json | None:
    """The search as columns, if something was searched."""
    tuning = record.tuning
    if tuning is None:
        return None
    keys = sorted({key for candidate in tuning.candidates for key in candidate})
    searched = len(tuning.curve) == len(tuning.candidates) > 1
    return {
        "seen": dict(tuning.seen),
        "objective": place_of(texts, tuning.objective),
        "columns": {key: [candidate.get(key) for candidate in tuning.candidates] for key in keys} if searched else {},
        "curve": [[rounded(value) for value in point] for point in tuning.curve] if searched else [],
    }


def _details(details: Details | None, images: bool) -> Json | None:
    if details is None:
        return None
    return details.model_dump(mode="json", exclude={"schema_version", "cell_key"} | (set() if images else {"images"}))
