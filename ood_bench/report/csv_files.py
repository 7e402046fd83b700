"""The CSV file of a page: one row a number, for whoever wants to compute with it."""

import csv
import io
from collections.abc import Sequence

from ood_bench.papers.block import Block
from ood_bench.report.format import metric_order
from ood_bench.report.rows import Row
from ood_bench.report.verdicts import far

COLUMNS = (
    "section", "kind", "method", "variant", "model", "id", "id_images", "ood", "ood_images", "protocol", "metric",
    "convention", "positive", "paper", "ours", "std", "n", "difference", "far", "low", "high",
)  # fmt: skip
PAPER = "paper"
"""The section of a block's own cells; only they have published values."""
_PLACES = 4


def _text(value: float | None) -> str:
    text = "" if value is None else f"{value:.{_PLACES}f}"
    return text.removeprefix("-") if text and float(text) == 0 else text


def _numbers(row: Row, metric: str, exact: bool, printed: str | None) -> dict[str, str]:
    stat = row.stat(metric, exact)
    if stat is None:
        return {"paper": printed or "", "n": "0"}
    return {
        "paper": printed or "",
        "ours": _text(stat.mean),
        "std": _text(stat.std),
        "n": str(stat.n),
        "difference": _text(stat.mean - float(printed)) if printed else "",
        "far": "yes" if far(stat, printed) else "",
        "low": _text(stat.low),
        "high": _text(stat.high),
    }


def _lines(row: Row, section: str, block: Block | None) -> list[dict[str, str]]:
    first = row.records[0] if row.records else None
    subject = first or block
    if subject is None:
        return []
    names = {
        "section": section, "method": row.method, "variant": row.variant, "model": subject.model, "id": subject.id,
        "id_images": row.id_title, "ood": row.ood, "ood_images": row.ood_title, "protocol": subject.protocol,
    }  # fmt: skip
    how = {"convention": first.evaluation.convention, "positive": first.evaluation.positive} if first else {}
    metrics = metric_order(metric for record in row.records for metric in record.metrics)
    exact = metric_order(metric for record in row.records for metric in record.exact)
    lines = []
    for metric in block.metrics if block and section == PAPER else metrics:
        printed = block.printed(row.method, row.ood, metric) if block and section == PAPER else None
        lines.append({"kind": "convention", "metric": metric} | how | _numbers(row, metric, False, printed))
    lines += [{"kind": "exact", "metric": metric} | _numbers(row, metric, True, None) for metric in exact]
    return [names | line for line in lines]


def sheet(sections: Sequence[tuple[str, Sequence[Row]]], block: Block | None) -> str:
    """The rows of a page as CSV text, four decimals, percent.

    Args:
        sections: ``("paper", rows)``, ``("beyond", rows)`` or ``("other", rows)``.
        block: the paper's block, none for rows that belong to none.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for section, rows in sections:
        for row in rows:
            writer.writerows(_lines(row, section, block))
    return text.getvalue()
