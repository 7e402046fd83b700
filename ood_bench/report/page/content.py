"""The page's overview: what is read at once, sections with their matrices and a verdict a cell."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ood_bench.papers.costs import costs
from ood_bench.report.explanations import NONE, Explanations
from ood_bench.report.format import decimals, metric_title, number
from ood_bench.report.page import bare, links, matrix, why
from ood_bench.report.page.settings import PageSettings
from ood_bench.report.page.shared import Shared
from ood_bench.report.rows import Row
from ood_bench.report.sections import Section
from ood_bench.report.verdicts import Verdict, flags_in_words, smaller_is_better
from ood_bench.results.record_store import slug

Json = dict[str, Any]
CONCLUSIONS = ("reproduced", "not reproduced", "undecided", "not comparable", "not run")
"""The page's words for verdicts; cells refer to them by number."""
_PLACES = 4


def shown(sections: Sequence[Section]) -> list[Section]:
    """The sections with rows on the page, a user's own results first."""
    ran = [section for section in sections if section.ran]
    return [one for one in ran if one.kind == "other"] + [one for one in ran if one.kind != "other"]


def rows_of(section: Section) -> list[Row]:
    """The rows that the page has of a section: those that were run, and those with a published number."""
    return [row for row in section.rows if row.records or _published(row, section)]


def _published(row: Row, section: Section) -> bool:
    return any(section.printed(row, metric) is not None for metric in section.metrics)


def overview(
    sections: Sequence[Section],
    shared: Shared,
    settings: PageSettings = PageSettings(),  # noqa: B008 - it is frozen
    explained: Explanations = NONE,
    results: Path = Path(),
) -> Json:
    """What the page shows at first: sections, rows, a verdict a cell; and what no row of it is about."""
    there = {record.cell_key for section in sections for row in section.rows for record in row.records}
    idle = [one for one in sections if one.kind == "paper" and not one.ran] if settings.papers == "all" else []
    groups = matrix.known_groups(sections)
    found: list[Json] = []
    rows: list[Json] = []
    taken: Counter[str] = Counter()
    for section in shown(sections):
        places = [matrix.Place(row, len(rows) + index) for index, row in enumerate(rows_of(section))]
        best = matrix.best_cells(section, places)
        key = _key(section)
        rows += [
            {"k": f"{key}/{_address(one.row)}", "s": len(found)} | _row(one, section, best, shared) for one in places
        ]
        head = _section(section, settings, explained, shared)
        found.append({"key": key, **head, "matrices": matrix.matrices(section, places, groups, shared)})
    there |= bare.cells_of(results, settings.beside)
    lone = [one for key, mine in explained.ladders.items() if key not in there for one in mine]
    for row in rows:
        taken[row["k"]] += 1
        row["k"] += f"~{taken[row['k']]}" if taken[row["k"]] > 1 else ""
    metrics = {metric for section in sections for metric in section.metrics}
    metrics |= {name for one in _records(sections) for kind in (one.metrics, one.exact, one.selective) for name in kind}
    cost = next(iter(costs().values()), None)
    return {
        "title": settings.title,
        "own": settings.own,
        "made": made(sections),
        "verdicts": CONCLUSIONS,
        "counts": _counts([*(one for one in sections if one.ran), *idle]),
        "sections": found,
        "beside": bare.sections(results, settings.beside, groups, shared, explained),
        "rows": rows,
        "idle": [_idle(one, settings) for one in idle],
        "ladders": why.ladders(lone),
        "small": [metric for metric in sorted(metrics) if smaller_is_better(metric)],
        "titles": {metric: metric_title(metric) for metric in sorted(metrics)},
        "margins": str(sections[0].margins) if sections else "",
        "cost": f"{cost.cpu}, {cost.subject}" if cost else "",
        "links": [[words, link] for words, path in _PROJECT if (link := settings.link(path))],
    }


_PROJECT = (("repository", ""), ("how to cite", "CITATION.cff"), ("verdicts", "docs/verdicts.md"))


def _records(sections: Iterable[Section]) -> Iterable[Any]:
    return (record for section in sections for row in section.rows for record in row.records)


def made(sections: Iterable[Section]) -> str:
    """How many records the page is of, when they were made, and by which versions."""
    records = {record.cell_key: record for record in _records(sections)}.values()
    if not records:
        return ""
    days = sorted(record.created[:10] for record in records)
    when = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    versions = sorted({record.environment.packages.get("ood-bench", "") for record in records} - {""})
    by = f" by ood-bench {', '.join(versions)}" if versions else ""
    return f"{len(records):,} records, made {when}{by}"


def _counts(sections: Iterable[Section]) -> dict[str, int]:
    """How often each conclusion was drawn, over all published numbers of papers' tables."""
    found = Counter(
        section.judge(row, metric).verdict.conclusion
        for section in sections
        if section.kind == "paper"
        for row in section.rows
        for metric in section.metrics
        if section.printed(row, metric) is not None
    )
    return {name: found[name] for name in CONCLUSIONS}


def _key(section: Section) -> str:
    """A section's part of stable addresses."""
    if section.block is None:
        return slug(f"{section.id} {section.model} {section.protocol}")
    return section.block.name + ("-beyond" if section.kind == "beyond" else "")


def _address(row: Row) -> str:
    return "/".join(filter(None, (slug(row.label), slug(row.ood_title), slug(row.id_title.partition("(")[2]))))


def _section(section: Section, settings: PageSettings, explained: Explanations, shared: Shared) -> Json:
    block = section.block if section.kind == "paper" else None
    keys = {record.cell_key for row in section.rows for record in row.records}
    found = {
        "kind": section.kind,
        "title": section.title,
        "model": section.model,
        "id": section.id,
        "protocol": section.protocol,
        "metrics": list(section.metrics),
        "files": links.of_files(section),
        "multiverses": [why.multiverse(one) for one in explained.multiverses if one.cell_key in keys],
    }
    if block is None:
        return found
    return found | {
        "reference": block.reference,
        "source": f"{block.csv}.csv, {block.table}",
        "command": f"ood-bench paper={block.name}",
        "links": links.of_block(block, settings),
        "notes": [*block.notes, *flags_in_words(block)],
        "says": dict(block.says),
    }


def _row(place: matrix.Place, section: Section, best: set[tuple[int, str]], shared: Shared) -> Json:
    row = place.row
    cells = {metric: _cell(row, metric, section, (place.number, metric) in best, shared) for metric in section.metrics}
    found = {
        "method": row.method,
        "label": row.label,
        "ood": row.ood,
        "full": shared.place(row.ood_title),
        "id": shared.place(row.id_title),
        "cells": {metric: cell for metric, cell in cells.items() if cell},
    }
    seeds = len({record.seed for record in row.records})
    return found | ({"n": row.networks, "seeds": seeds} if row.records else {}) | ({"avg": 1} if row.averages else {})


def _cell(row: Row, metric: str, section: Section, best: bool, shared: Shared) -> Json:
    """A cell; numbers are the texts of the tables, mean, deviation and interval with equally many decimals."""
    printed = section.printed(row, metric)
    places = decimals(printed)
    cell: Json = {}
    if printed is not None:
        judged = section.judge(row, metric)
        cell |= {"p": printed, "x": CONCLUSIONS.index(judged.verdict.conclusion)}
        if row.records:
            cell["why"] = shared.place(judged.reason)
        if judged.verdict is Verdict.BETTER:
            cell["better"] = 1
        known = {"t": judged.limit, "c": judged.chance}
        cell |= {key: round(value, _PLACES) for key, value in known.items() if value is not None}
    if (stat := row.stat(metric)) is not None:
        cell |= {"v": number(stat.mean, places), "n": stat.n}
        numbers = {"s": stat.shown_std, "lo": stat.low, "hi": stat.high}
        cell |= {key: number(value, places) for key, value in numbers.items() if value is not None}
        if printed is not None:
            cell["d"] = number(stat.mean - float(printed), places, sign=True)
        if best:
            cell["best"] = 1
    return cell


def _idle(section: Section, settings: PageSettings) -> Json:
    """A paper that was never run: what it is about, and its published numbers, a line of texts a method."""
    block = section.block
    if block is None:
        raise ValueError(f"{section.title} is no paper's block")
    printed: dict[str, list[str]] = {}
    for metric in block.metrics:
        lines = [[block.printed(method, ood, metric) or "-" for ood in block.ood] for method in block.methods]
        if any(value != "-" for line in lines for value in line):
            printed[metric] = [" ".join(line) for line in lines]
    count = sum(value != "-" for lines in printed.values() for line in lines for value in line.split())
    return {
        "key": block.name,
        "title": block.title,
        "model": block.model,
        "id": block.id,
        "reference": block.reference,
        "command": f"ood-bench paper={block.name}",
        "links": links.of_block(block, settings),
        "methods": list(block.methods),
        "ood": list(block.ood),
        "printed": printed,
        "count": count,
    }
