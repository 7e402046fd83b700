"""Which rows stand together in tables and on the page: a paper's block, what goes beyond it, results of no paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from ood_bench.papers.block import Block
from ood_bench.report.format import MAIN, metric_order
from ood_bench.report.margins import DEFAULT, Margins
from ood_bench.report.rows import Row, arrange, gather
from ood_bench.report.verdicts import Judgement, counted, judge
from ood_bench.results import Record

_MOST = 4


@dataclass(frozen=True)
class Section:
    """Rows with the metrics that the overview shows of them.

    Attributes:
        kind: cells of a paper's table, other cells of the same model, ID set and protocol, or cells of no paper.
        title: heading.
        model: model name.
        id: name of the ID set.
        protocol: protocol name.
        metrics: in order.
        rows: in order; those of a paper's block may be empty.
        block: the paper's block, none for cells of no paper.
        margins: differences from published numbers that do not matter.
    """

    kind: Literal["paper", "beyond", "other"]
    title: str
    model: str
    id: str
    protocol: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    block: Block | None = None
    margins: Margins = DEFAULT

    @property
    def ran(self) -> tuple[Row, ...]:
        """The rows with records."""
        return tuple(row for row in self.rows if row.records)

    def printed(self, row: Row, metric: str) -> str | None:
        """The published value of a cell, or none."""
        return self.block.printed(row.method, row.ood, metric) if self.block and self.kind == "paper" else None

    def judge(self, row: Row, metric: str) -> Judgement:
        """The verdict on a cell."""
        return judge(row, metric, self.printed(row, metric), self.block, self.margins)

    @property
    def verdicts(self) -> str:
        """How often each conclusion was drawn on the published numbers, in words."""
        cells = ((row, metric) for row in self.rows for metric in self.metrics if self.printed(row, metric) is not None)
        return counted(self.judge(*cell).verdict for cell in cells)


def sections(records: Sequence[Record], blocks: Sequence[Block], margins: Margins = DEFAULT) -> list[Section]:
    """All rows: blocks that were run, each followed by what goes beyond it, results of no paper, and the other blocks.

    Args:
        records: what was measured.
        blocks: what it is compared with.
        margins: differences from published numbers that do not matter.

    Raises:
        ConfigError: if a block's published numbers are not usable.
        RecordError: if records contradict each other.
    """
    found: list[Section] = []
    held = {id(record) for block in blocks for record in records if block.holds(record)}
    left = [record for record in records if id(record) not in held]
    idle: list[Section] = []
    for block in blocks:
        rows = arrange(gather((record for record in records if block.holds(record)), block), block)
        place = block.model, block.id, block.protocol
        section = Section("paper", block.title, *place, tuple(block.metrics), tuple(rows), block, margins)
        (found if section.ran else idle).append(section)
        alone = [record for record in records if block.holds(record) and record.ood not in block.ood]
        if beyond := [*alone, *(record for record in left if block.concerns(record))]:
            found.append(_measured("beyond", f"Beyond the paper: {block.title}", beyond, block))
            left = [record for record in left if not block.concerns(record)]
    for names, group in groupby(sorted(left, key=_place), key=_place):
        found.append(_measured("other", f"{names[1]}, {names[0]}, protocol {names[2]}", list(group), None))
    return found + idle


def _place(record: Record) -> tuple[str, str, str]:
    return record.model, record.id, record.protocol


def _measured(kind: Literal["beyond", "other"], title: str, records: Sequence[Record], block: Block | None) -> Section:
    """Rows without published values, with the paper's metrics or the usual ones."""
    there = metric_order(metric for record in records for metric in record.metrics)
    usual = [metric for metric in (block.metrics if block else MAIN) if metric in there]
    metrics = tuple((usual or there)[:_MOST])
    return Section(kind, title, *_place(records[0]), metrics, tuple(gather(records)), block)
