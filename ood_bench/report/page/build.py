"""Puts template, style, scripts and data together into one HTML file; equal records give equal bytes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from ood_bench.report.explanations import NONE, Explanations
from ood_bench.report.page.content import Beside, Json, Texts, detail, overview
from ood_bench.report.sections import Section
from ood_bench.results.details import Details

LIMIT = 12_000_000
"""Characters of details that a page may hold; beyond that it leaves out thumbnails first, then curves."""
_ASSETS = Path(__file__).parent / "assets"
_SCRIPTS = ("base.js", "axes.js", "charts.js", "why.js", "overview.js", "panels.js", "dialog.js", "main.js")
_ALL_SEEDS = 1_000_000


def page(
    sections: Sequence[Section],
    details: Mapping[str, Details],
    tests: Mapping[str, Sequence[Json]],
    explained: Explanations = NONE,
) -> str:
    """The whole page: HTML that loads nothing and runs from a file; details and paired tests are by cell key."""
    kept, images, remark = _fitting(sections, details)
    beside = Beside(kept, tests, explained, images)
    texts: Texts = {}
    rows = [row for section in sections for row in section.rows]
    pieces = [(index, _json(detail(row, texts, beside))) for index, row in enumerate(rows) if row.records]
    whole = overview(sections, explained) | {"texts": list(texts), "remark": remark}
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(_asset("page.html.j2")).render(
        style=_asset("style.css"),
        scripts="\n".join(map(_asset, _SCRIPTS)),
        overview=_json(whole),
        pieces=pieces,
    )


def _fitting(sections: Sequence[Section], details: Mapping[str, Details]) -> tuple[Mapping[str, Details], int, str]:
    """As many details as the limit allows: with all thumbnails, with one seed's, with none; or no details at all."""
    used = [
        [details[one.cell_key] for one in row.records if one.cell_key in details]
        for each in sections
        for row in each.rows
        if not row.averages
    ]
    curves = sum(len(one.to_json()) - _picture(one) for row in used for one in row)
    every = sum(_picture(one) for row in used for one in row)
    first = sum(_picture(one) for row in used for one in row[:1])
    where = "they lie in results/details"
    for images, size, remark in (
        (_ALL_SEEDS, curves + every, ""),
        (1, curves + first, f"To keep this page small, it has the images of each cell's first seed only; {where}."),
        (0, curves, f"To keep this page small, it leaves out images; {where}."),
    ):
        if size <= LIMIT:
            return details, images, remark
    return {}, 0, f"To keep this page small, it leaves out histograms, curves and images; {where}."


def _picture(one: Details) -> int:
    return len(one.images.content) if one.images else 0


def _json(value: Any) -> str:
    """JSON that may stand inside a script element."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
