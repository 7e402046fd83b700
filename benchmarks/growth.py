"""What things cost as the work grows: images, methods, OOD sets, records, jobs of a sweep, classes.

Each axis is measured in a process of its own, from the smallest size up: processor time of one thread, the median of up
to three turns. The exponent is the slope between the last two sizes on logarithmic axes: 1 where twice the work costs
twice as much. It is below 1 where some of the cost does not grow.
"""

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.clock import timed

_SLACK = 0.15
_TURNS, _PATIENCE = 3, 2.0  # no further turn after so many seconds
_MEGA = 1e6


@dataclass(frozen=True)
class Axis:
    """What grows.

    Attributes:
        title: heading.
        sizes: how far.
        quick: the same for a trial.
        must: the exponent that the work itself has.
    """

    title: str
    sizes: tuple[int, ...]
    quick: tuple[int, ...]
    must: float = 1.0


AXES = {
    "images": Axis("images scored by 5 methods, half of them ID", (1000, 10_000, 100_000), (100, 200)),
    "methods": Axis("methods on one pass over 2,000 images", (1, 4, 15, 30, 60), (1, 2)),
    "sets": Axis("OOD sets of 1,000 images scored by 5 methods, beside 1,000 ID images", (1, 5, 10, 20), (1, 2)),
    "records": Axis("records", (100, 1000, 10_000, 50_000), (3, 6)),
    "report": Axis("records in a report, each 600 of other networks", (625, 1250, 2500, 5000), (3, 6)),
    "jobs": Axis("jobs of a sweep that is planned, beside as many records", (10, 100, 1000, 2000), (2, 4)),
    "classes": Axis("classes: learning from 2,000 rows, scoring 500, by method", (10, 100, 1000), (3, 6)),
}


@dataclass(frozen=True)
class Curve:
    """What was measured of one kind of work.

    Attributes:
        axis: what grows.
        name: what is done.
        seconds: processor time by size.
        memory: by size, MB that the process had needed at most until then, beyond what it had at first.
    """

    axis: str
    name: str
    seconds: dict[int, float]
    memory: dict[int, float]

    @property
    def exponent(self) -> float:
        """Of growth between the last two sizes."""
        (one, first), (two, second) = list(self.seconds.items())[-2:]
        return math.log(second / first) / math.log(two / one)

    @property
    def line(self) -> str:
        """A line of the table."""
        size, last = list(self.seconds.items())[-1]
        must = AXES[self.axis].must
        cells = [f"{one:9.3f}" for one in self.seconds.values()]
        above = "  above" if self.exponent > must + _SLACK else ""
        memory = f"{self.memory[size]:7.0f}"
        return f"{self.name:24}{''.join(cells)}{1000 * last / size:12.3f}{memory}{self.exponent:9.2f}{must:6.1f}{above}"


def works(axis: str, folder: Path) -> Callable[[int], Mapping[str, Callable[[], object]]]:
    """What makes the work of an axis, by size, by name; scratch files go below ``folder``."""
    from benchmarks import growth_work as work  # noqa: PLC0415 - the parent process measures nothing

    kinds: dict[str, Any] = {"images": work.Runs, "methods": work.Runs, "sets": work.Runs, "jobs": work.Sweeps}
    maker = kinds.get(axis, work.Wide if axis == "classes" else work.Kept)(folder)
    named: dict[str, Callable[[int], Mapping[str, Callable[[], object]]]] = {
        "images": lambda size: {
            "empty store": maker.images(size),
            "warm store": maker.images(size, warm=True),
            "warm store, intervals": maker.images(size, warm=True, resamples=1000),
        },
        "methods": lambda size: {"empty store": maker.methods(size), "warm store": maker.methods(size, warm=True)},
        "sets": lambda size: {"empty store": maker.sets(size)},
        "records": lambda size: {kind: maker.work(size, kind=kind) for kind in ("load", "check")},
        "report": lambda size: {"report": maker.work(size, kind="report")},
        "jobs": lambda size: {"plan": maker.jobs(size)},
        "classes": lambda size: maker.classes(size),  # noqa: PLW0108 - other makers have none
    }
    return named[axis]


def measured(axis: str, sizes: Sequence[int]) -> list[Curve]:
    """Measures one axis in this process, after one turn at the smallest size that does not count."""
    seconds: dict[str, dict[int, float]] = {}
    memory: dict[str, dict[int, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        make = works(axis, Path(folder))
        for run in make(sizes[0]).values():
            run()
        before = _peak()
        for size in sizes:
            for name, run in make(size).items():
                seconds.setdefault(name, {})[size] = _median(run)
                memory.setdefault(name, {})[size] = _peak() - before
    return [Curve(axis, name, seconds[name], memory[name]) for name in seconds]


def _median(run: Callable[[], object]) -> float:
    turns: list[float] = []
    while len(turns) < _TURNS and sum(turns) < _PATIENCE:
        turns.append(timed(run)[2])
    return statistics.median(turns)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MEGA


def in_own_process(axis: str, sizes: Sequence[int]) -> list[Curve]:
    """Measures one axis in a new process."""
    command = [sys.executable, "-m", "benchmarks.growth", "--axis", axis, "--sizes", ",".join(map(str, sizes))]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - this very file
    found = json.loads(said.splitlines()[-1])
    return [
        Curve(axis, name, *({int(size): value for size, value in part.items()} for part in parts))
        for name, *parts in found
    ]


def table(axis: str, curves: Sequence[Curve]) -> str:
    """What was measured of one axis; seconds by size, and of the last size the cost of one more."""
    sizes = "".join(f"{size:>9,}" for size in curves[0].seconds)
    heading = f"{'':24}{sizes}{'ms each':>12}{'MB':>7}{'exponent':>9}{'must':>6}"
    return "\n".join([AXES[axis].title, heading, *(curve.line for curve in curves)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a table for each axis.

    Args:
        arguments: the command line without the program's name; that of the process if none.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few small sizes, to try the command")
    parser.add_argument("--axes", type=lambda text: text.split(","), default=list(AXES), help="default: all")
    parser.add_argument("--plot", type=Path, metavar="SVG", help="also draws the curves into this file")
    parser.add_argument("--axis", choices=AXES, help=argparse.SUPPRESS)
    parser.add_argument("--sizes", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.axis:
        found = measured(options.axis, [int(size) for size in options.sizes.split(",")])
        sys.stdout.write(f"\n{json.dumps([[one.name, one.seconds, one.memory] for one in found])}\n")
        return 0
    for library in ("OMP", "OPENBLAS", "MKL"):  # for the processes that measure
        os.environ[f"{library}_NUM_THREADS"] = "1"
    curves: dict[str, list[Curve]] = {}
    for axis in options.axes:
        curves[axis] = in_own_process(axis, AXES[axis].quick if options.quick else AXES[axis].sizes)
        sys.stdout.write(f"{table(axis, curves[axis])}\n\n")
        sys.stdout.flush()
    if options.plot:
        from benchmarks.growth_plot import draw  # noqa: PLC0415 - matplotlib takes long to import

        draw(curves, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
