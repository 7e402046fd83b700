"""The end of a run in the terminal: its results, with the paper's numbers beside them."""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ood_bench.report.blocks import Block, block_of, load_blocks
from ood_bench.report.layout import NOTHING, metric_order, metric_title, number
from ood_bench.results import Record

_EQUAL = 1e-6


def show(records: Iterable[Record], console: Console, conf: Path | None = None) -> None:
    """Draws a table for each model, ID set and protocol, a row a record, the paper's numbers below each method's.

    Args:
        records: records of one run or many.
        console: where to draw.
        conf: another folder of configs than the shipped one.

    Raises:
        ConfigError: if a block's config or its published numbers are not usable.
    """
    blocks = load_blocks(conf)

    def key(record: Record) -> tuple[str, str, str]:
        return record.data.id_test.title, record.model, record.protocol

    ordered = sorted(records, key=lambda record: (key(record), _line(record), record.seed))
    for names, group in groupby(ordered, key=key):
        console.print(_table(names, list(group), blocks))


def _table(names: tuple[str, str, str], records: list[Record], blocks: list[Block]) -> Table:
    id_title, model, protocol = names
    metrics = metric_order(name for record in records for name in record.metrics)
    exact = [name for name in metric_order(name for record in records for name in record.exact) if name not in metrics]
    seeds = sorted({record.seed for record in records})
    parts = [id_title, model, f"protocol {protocol}", *([f"seed {seeds[0]}"] if len(seeds) == 1 else []), "percent"]
    table = Table(title=escape(", ".join(parts)), box=SIMPLE_HEAD)
    table.caption = "* by the metric's exact definition, not by the protocol's convention" if exact else None
    for title in ("Method", "OOD set"):
        table.add_column(title, overflow="fold")
    columns = [*(["seed"] if len(seeds) > 1 else []), *map(metric_title, metrics)]
    for title in (*columns, *(f"{metric_title(name)}*" for name in exact)):
        table.add_column(title, justify="right", no_wrap=True)
    for (label, ood_title), group in groupby(records, key=_line):
        mine = list(group)
        for record in mine:
            seed = [str(record.seed)] if len(seeds) > 1 else []
            cells = [*(_cell(name, record) for name in metrics), *(_exact_cell(name, record) for name in exact)]
            table.add_row(escape(label), escape(ood_title), *seed, *cells)
        if block := block_of(mine[0], blocks):
            printed = [block.printed(mine[0].method, mine[0].ood, name) or NOTHING for name in metrics]
            table.add_row("  paper", *([""] * (len(columns) - len(metrics) + 1)), *printed, style="dim")
    return table


def _line(record: Record) -> tuple[str, str]:
    label = f"{record.method} ({record.variant})" if record.variant else record.method
    return label, record.data.ood.title


def _cell(name: str, record: Record) -> str:
    """A value in the protocol's convention; AUROC with its interval, or with that of an equal exact value."""
    metric = record.metrics.get(name)
    if metric is None:
        return NOTHING
    text = number(metric.value, 2)
    if name != "auroc":
        return text
    same = [one for one in (metric, record.exact.get(name)) if one and abs(one.value - metric.value) < _EQUAL]
    for one in same:
        if one.low is not None and one.high is not None:
            return escape(f"{text} [{number(one.low, 1)}, {number(one.high, 1)}]")
    return text


def _exact_cell(name: str, record: Record) -> str:
    metric = record.exact.get(name)
    return NOTHING if metric is None else number(metric.value, 2)
