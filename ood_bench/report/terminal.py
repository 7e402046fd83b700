"""The end of a run in the terminal: its main results, with the paper's numbers below them."""

import shlex
import statistics
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ood_bench.data.imageset import titled
from ood_bench.papers.block import Block, block_of, load_blocks
from ood_bench.report.format import MAIN, NOTHING, interval, metric_title, number
from ood_bench.results import Record

_WIDE = "auroc"


def show(records: Iterable[Record], console: Console, own: Sequence[Path] = (), *, every_seed: bool = True) -> None:
    """Draws a table for each model, ID set and protocol: a row a record, the paper's numbers below each method's.

    Of several seeds of a method the mean and the sample standard deviation stand below them.

    A block of a paper's table shows that table's metrics, everything else those of
    :data:`~ood_bench.report.format.MAIN` that it has. AUROC comes with its 95 % bootstrap interval.

    Args:
        records: what to show.
        console: where.
        own: folders of configs with further papers.
        every_seed: whether each seed has a row of its own where there are several, beside their mean.

    Raises:
        ConfigError: if a block's config or its published numbers are not usable.
    """
    blocks = load_blocks(own=own)

    def place(record: Record) -> tuple[object, ...]:
        return key(record), record.data.ood.title, titled(record.method, record.variant), record.seed

    def key(record: Record) -> tuple[str, str, str, tuple[str, ...]]:
        block = next((block for block in blocks if block.concerns(record)), None)
        metrics = tuple(block.metrics) if block else tuple(name for name in MAIN if name in record.metrics)
        return record.data.id_test.title, record.model, record.protocol, metrics

    for names, group in groupby(sorted(records, key=place), key=key):
        console.print(_table(names[:3], names[3], list(group), blocks, every_seed=every_seed))


def report_command(results: str | Path, own: Sequence[Path] = ()) -> str:
    """The command that makes tables and page of a results folder, as a shell takes it.

    Args:
        results: the results folder.
        own: folders of configs beside the shipped one; those with papers are named.
    """
    papers = [word for folder in own if (folder / "paper").is_dir() for word in ("--config-dir", str(folder))]
    return shlex.join(["ood-bench", "report", "--results", str(results), *papers])


def _table(
    names: Sequence[str], metrics: Sequence[str], records: list[Record], blocks: list[Block], *, every_seed: bool
) -> Table:
    id_title, model, protocol = names
    seeds = sorted({record.seed for record in records})
    of_seed = f", seed {seeds[0]}" if len(seeds) == 1 else ""
    if not every_seed:  # with deviations all would not fit into 80 columns
        metrics = [name for name in metrics if not name.startswith("aupr")] or metrics
    table = Table(title=escape(f"{id_title}, {model}, protocol {protocol}{of_seed}, percent"), box=SIMPLE_HEAD)
    table.add_column("OOD set, method", overflow="fold")
    for title in (*(["seed"] if len(seeds) > 1 else []), *map(metric_title, metrics)):
        table.add_column(title, justify="right", no_wrap=True)
    for ood_title, of_set in groupby(records, key=lambda record: record.data.ood.title):
        table.add_row(escape(ood_title), style="bold")
        for label, group in groupby(of_set, key=lambda record: titled(record.method, record.variant)):
            mine = list(group)
            for record in mine if every_seed or len(mine) == 1 else ():
                seed = [str(record.seed)] if len(seeds) > 1 else []
                cells = [_cell(name, record) for name in metrics]
                table.add_row(f"  {escape(label)}", *seed, *cells)
            if len(mine) > 1:
                means = (_mean(name, mine) for name in metrics)
                if every_seed:
                    table.add_row("    mean ± std", f"of {len(mine)}", *means, style="bold")
                else:
                    table.add_row(f"  {escape(label)}", f"mean of {len(mine)}", *means)
            if block := block_of(mine[0], blocks):
                printed = [block.printed(mine[0].method, mine[0].ood, name) or NOTHING for name in metrics]
                table.add_row("    paper", *([""] if len(seeds) > 1 else []), *printed, style="dim")
        table.add_section()
    return table


def _mean(name: str, records: Sequence[Record]) -> str:
    """Mean and sample standard deviation over seeds."""
    values = [metric.value for record in records if (metric := record.metrics.get(name)) is not None]
    if len(values) < 2:
        return NOTHING
    return f"{number(statistics.fmean(values), 2)} ± {number(statistics.stdev(values), 2)}"


def _cell(name: str, record: Record) -> str:
    """A value in the protocol's convention; AUROC with its interval."""
    metric = record.metrics.get(name)
    if metric is None:
        return NOTHING
    text = number(metric.value, 2)
    return escape(f"{text} {interval(metric)}") if name == _WIDE and metric.low is not None else text
