"""The CSV file of a table: one row a number."""

from collections.abc import Iterable, Sequence

import pandas as pd

from ood_bench.report.format import metric_order, number
from ood_bench.report.rows import Kind, Row
from ood_bench.report.sections import Section
from ood_bench.utils.printable import inert

COLUMNS = (
    "section", "kind", "method", "variant", "model", "id", "id_images", "ood", "ood_images", "protocol", "metric",
    "convention", "positive", "paper", "runs", "ours", "std", "n", "difference", "verdict", "low", "high",
)  # fmt: skip
_PLACES = 4


def _text(value: float | None) -> str:
    return "" if value is None else number(value, _PLACES)


def _numbers(row: Row, metric: str, kind: Kind, printed: str | None = None) -> dict[str, str]:
    stat = row.stat(metric, kind)
    if stat is None:
        return {"paper": printed or "", "n": "0"}
    return {
        "paper": printed or "",
        "ours": _text(stat.mean),
        "std": _text(stat.shown_std),
        "n": str(stat.n),
        "difference": _text(stat.mean - float(printed)) if printed else "",
        "low": _text(stat.low),
        "high": _text(stat.high),
    }


def _compared(row: Row, metric: str, section: Section) -> dict[str, str]:
    """Numbers in the paper's convention; beside a published one of how many runs it is, and the verdict."""
    printed = section.printed(row, metric)
    numbers = _numbers(row, metric, "metrics", printed)
    if printed is None or section.block is None:
        return numbers
    runs = section.block.runs(row.method, row.ood, metric)
    return numbers | {"runs": str(runs), "verdict": section.judge(row, metric).verdict.value}


def _lines(row: Row, section: Section) -> list[dict[str, str]]:
    names = {
        "section": section.kind, "method": row.method, "variant": row.variant, "model": section.model,
        "id": section.id, "id_images": row.id_title, "ood": row.ood, "ood_images": row.ood_title,
        "protocol": section.protocol,
    }  # fmt: skip
    how = row.records[0].evaluation if row.records else None
    own = {"kind": "convention"} | ({"convention": how.convention, "positive": how.positive} if how else {})
    measured = metric_order(metric for record in row.records for metric in record.metrics)
    lines = [
        own | {"metric": metric} | _compared(row, metric, section)
        for metric in (section.metrics if section.kind == "paper" else measured)
    ]
    kinds: tuple[Kind, ...] = ("exact", "selective")
    for kind in kinds:
        there = metric_order(metric for record in row.records for metric in getattr(record, kind))
        lines += [{"kind": kind, "metric": metric} | _numbers(row, metric, kind) for metric in there]
    return [names | line for line in lines]


def csv_text(sections: Iterable[Section]) -> str:
    """The rows of a page's sections as CSV text, four decimals, percent."""
    return as_csv(COLUMNS, (line for section in sections for row in section.rows for line in _lines(row, section)))


def as_csv(columns: Sequence[str], lines: Iterable[dict[str, str]]) -> str:
    """CSV text with a header; what a line lacks is empty, and no cell is a formula."""
    table = pd.DataFrame([{name: inert(text) for name, text in line.items()} for line in lines], columns=list(columns))
    return table.to_csv(index=False, lineterminator="\n")
