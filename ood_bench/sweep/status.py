"""``ood-bench status``: progress of the sweeps in a store, from any machine that sees it."""

import argparse
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ood_bench.sweep import manifest
from ood_bench.sweep.manifest import Plan
from ood_bench.sweep.progress import ORDER, JobState, counted, job_states
from ood_bench.utils.configs import default_data_root
from ood_bench.utils.console import not_negative, one_message, plain_log
from ood_bench.utils.printable import printable

_COLOURS = {"running": "cyan", "failed": "red", "lost": "red", "interrupted": "yellow", "done": "green"}
_MOST = 30
_BAR = 60
_WIDTH_OF_A_PIPE = 160


def build_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = argparse.ArgumentParser(prog="ood-bench status", description="Shows how sweeps get on.")
    default = Path(default_data_root()) / "store"
    parser.add_argument(
        "--store", type=Path, default=default, metavar="DIR", help="store.root (default: $OOD_BENCH_DATA/store)"
    )
    parser.add_argument("--all", action="store_true", help="every sweep of the store; else the latest")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--watch",
        type=not_negative,
        nargs="?",
        const=2.0,
        metavar="SECONDS",
        help="show it again and again until it is over",
    )
    how.add_argument("--json", action="store_true", help="for programs")
    return parser


@one_message
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; gives 0 if every cell of the sweeps has a record, 1 if some have none, 2 without a sweep."""
    plain_log(logging.WARNING)
    chosen = build_parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE, highlight=False)
    sweeps = list(_sweeps(chosen.store, {}, every=chosen.all))
    if not sweeps:
        text = f"no sweep was started with store.root={chosen.store}: --store names another store"
        console.print(_line(text), markup=False)
        return 2
    if chosen.json:
        content = [{"sweep": name, "jobs": [asdict(job) for job in jobs]} for name, _, jobs in sweeps]
        console.print_json(data=content, ensure_ascii=True)
    elif chosen.watch is None:
        console.print(_shown(sweeps))
        _show_commands(sweeps, console)
    else:
        sweeps = _watch(chosen, console)
        _show_commands(sweeps, console)
    return 0 if all(job.state == "done" for _, _, jobs in sweeps for job in jobs) else 1


Sweep = tuple[str, Plan, list[JobState]]


def _sweeps(store: Path, dead: dict[str, str], *, every: bool) -> Iterator[Sweep]:
    for path, plan in manifest.load_all(store):
        yield path.stem, plan, job_states(store, plan, dead)
        if not every:
            return


def _watch(chosen: argparse.Namespace, console: Console) -> list[Sweep]:
    """Shows the sweeps until no job can go on any more, or Ctrl-C."""
    sweeps: list[Sweep] = []
    dead = dict[str, str]()
    with Live(console=console, auto_refresh=False) as live:
        try:
            while True:
                sweeps = list(_sweeps(chosen.store, dead, every=chosen.all))
                live.update(_shown(sweeps), refresh=True)
                if not any(job.state in ("running", "waiting") for _, _, jobs in sweeps for job in jobs):
                    break
                time.sleep(chosen.watch)
        except KeyboardInterrupt:
            pass
    return sweeps


def _shown(sweeps: Sequence[Sweep]) -> RenderableType:
    return Group(*(part for sweep in sweeps for part in _parts(*sweep)))


def _parts(name: str, plan: Plan, jobs: Sequence[JobState]) -> Iterator[RenderableType]:
    cells, done = sum(job.cells for job in jobs), sum(job.done for job in jobs)
    states = Counter(job.state for job in jobs)
    counts = ", ".join(f"{states[state]} {state}" for state in ORDER if states[state])
    started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(plan.started))
    sizes = f"{done} of {cells} cells; {counted(len(jobs), 'job')}"
    yield Text(f"sweep {_line(name)}, started {started}: {sizes}: {counts}")
    full = _BAR * done // max(cells, 1)
    yield Text.assemble(("━" * full, "green"), ("─" * (_BAR - full), "dim"), f" {100 * done / max(cells, 1):.0f} %")
    same = set.intersection(*(set(job.words) for job in jobs))
    table = Table(box=None, pad_edge=False)
    for heading in ("state", "cells", "job", "now"):
        table.add_column(heading, overflow="fold")
    ordered = sorted((job for job in jobs if job.state != "done"), key=lambda job: ORDER.index(job.state))
    for job in ordered[:_MOST]:
        own = " ".join(word for word in job.words if word not in same) or "(the only job)"
        style = _COLOURS.get(job.state, "")
        table.add_row(
            Text(job.state, style),
            f"{job.done}/{job.cells}",
            Text(_line(own)),
            Text(_line(job.note)),
        )
    if ordered:
        yield table
    if len(ordered) > _MOST:
        yield Text(f"and {len(ordered) - _MOST} more")


def _show_commands(sweeps: Sequence[Sweep], console: Console) -> None:
    """The commands that run again what broke off, each on one line however long, so that it can be copied."""
    for state in ("failed", "lost", "interrupted"):
        for job in (job for _, _, jobs in sweeps for job in jobs if job.state == state):
            console.print(f"run again: {printable(job.command)}", markup=False, soft_wrap=True)


def _line(text: str) -> str:
    """Text that came from outside, on one line."""
    return printable(text, keep="")
