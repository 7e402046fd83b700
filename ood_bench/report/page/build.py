"""Puts template, style, scripts and data together into one HTML file; equal records give equal bytes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from ood_bench.report.explanations import NONE, Explanations
from ood_bench.report.page.content import Json, overview, rows_of, shown
from ood_bench.report.page.detail import Beside, detail, packed
from ood_bench.report.page.settings import PageSettings
from ood_bench.report.page.shared import Shared
from ood_bench.report.rows import Row
from ood_bench.report.sections import Section
from ood_bench.results.details import Details

LIMIT = 1_200_000
"""Characters of details that a page may hold: curves of all cells or of none, and thumbnails as far as they fit."""
_ASSETS = Path(__file__).parent / "assets"
_SCRIPTS = (
    "base.js", "bare.js", "axes.js", "charts.js", "why.js", "state.js", "headline.js", "hint.js", "matrix.js",
    "pareto.js", "sections.js", "idle.js", "panels.js", "protocol.js", "dialog.js", "main.js",
)  # fmt: skip
_STYLES = ("base.css", "tables.css", "drilldown.css", "print.css")


def page(
    sections: Sequence[Section],
    details: Mapping[str, Details],
    tests: Mapping[str, Sequence[Json]],
    explained: Explanations = NONE,
    *,
    settings: PageSettings = PageSettings(),  # noqa: B008 - it is frozen
    results: Path = Path(),
) -> str:
    """The whole page: HTML that loads nothing and runs from a file; details and paired tests are by cell key."""
    shared = Shared()
    whole = overview(sections, shared, settings, explained, results)
    rows = [row for section in shown(sections) for row in rows_of(section)]
    published = [row for section in sections if section.kind == "paper" for row in section.ran]
    kept, images, remark = _fitting([*published, *(row for row in rows if row.records)], details)
    beside = Beside(kept, tests, explained, images)
    opened = ((index, row) for index, row in enumerate(rows) if row.records)
    pieces = [(index, _json(detail(row, shared, beside, settings))) for index, row in opened]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(_asset("page.html.j2")).render(
        title=settings.title,
        style="".join(map(_asset, _STYLES)),
        scripts="\n".join(map(_asset, _SCRIPTS)),
        overview=_json(whole | {"shared": shared.values, "remark": remark}),
        pieces=pieces,
    )


def _fitting(rows: Sequence[Row], details: Mapping[str, Details]) -> tuple[Mapping[str, Details], frozenset[str], str]:
    """As many details as the limit allows, and the cells whose thumbnails fit, too: first seeds only."""
    there = {one.cell_key: details[one.cell_key] for row in rows for one in row.records if one.cell_key in details}
    left = LIMIT - sum(len(_json(packed(one, False))) for one in there.values())
    where = "they lie in results/details"
    if left < 0:
        return {}, frozenset(), f"To keep this page small, it leaves out histograms, curves and images; {where}."
    first = dict.fromkeys(row.records[0].cell_key for row in rows if not row.averages)
    images = set()
    for key in first:
        if key in there and (sheet := there[key].images):
            left -= len(sheet.content)
            images |= {key} if left >= 0 else set()
    every = sum(one.images is not None for one in there.values())
    remark = f"To keep this page small, it has the images of {len(images)} of {every} cells; {where}."
    return there, frozenset(images), remark if len(images) < every else ""


def _json(value: Any) -> str:
    """JSON that may stand inside a script element."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
