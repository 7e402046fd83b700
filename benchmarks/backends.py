"""What a forward-only table and ODIN cost by each backend, in bare forward passes.

The table is logits and the mean of every tap. ``python -m benchmarks.backends`` compiles first, outside the clock, and
gives the seconds that it took. Weights are fresh: the speed is that of trained ones. Beside them stands the floor of
this processor: as many multiplications as the table has, in products of large matrices.
"""

import argparse
import functools
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.clock import Step, Timing, interleaved
from benchmarks.ours import bare_pass
from benchmarks.report import speed_table
from benchmarks.rows import Row
from benchmarks.subjects import fresh
from ood_bench.checkpoints.__main__ import NORMALISATIONS
from ood_bench.data.imageset import ImageSet
from ood_bench.data.sources import build_source
from ood_bench.methods.base import Scorer
from ood_bench.methods.odin import Odin
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.backends import Backend, BackendName
from ood_bench.scoring.compiled import multiplications
from ood_bench.scoring.engine import Engine
from ood_bench.scoring.quantities import LOGITS, Mean, Quantity

_BACKENDS: tuple[BackendName, ...] = ("torch", "openvino")
_SHAPE = (3, 32, 32)
_SIDE = 256  # of the matrices of the floor


@dataclass(frozen=True)
class Work:
    """What is measured of every network and backend.

    Attributes:
        name: what the tables call it.
        table: whether it holds logits and the mean of every tap.
        magnitudes: those of ODIN at temperature 1,000, if it holds that.
        limits: how many bare passes it may take, by network, or ``any``, and backend.
    """

    name: str
    table: bool
    magnitudes: Sequence[float]
    limits: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def run(self, classifier: Classifier, images: ImageSet, backend: Backend) -> None:
        """Does it with an empty store in memory."""
        engine, odin = Engine(None, backend=backend), Odin(list(self.magnitudes))
        wanted = [LOGITS, *(Quantity(tap, Mean()) for tap in classifier.taps)] if self.table else []
        steps = odin.steps(Scorer(engine, [classifier], images), odin.grid()) if self.magnitudes else []
        engine.collect(classifier, images, wanted, steps)


WORKS = (
    Work("table", True, (), {("resnet20", "openvino"): 0.65, ("densenet_bc_100_12", "openvino"): 0.40}),
    Work("odin", False, (0.0014,), {("any", name): 2.9 for name in _BACKENDS}),
    Work("table and odin", True, (0.0014,), {("any", name): 3.0 for name in _BACKENDS}),
    Work("odin, 10 steps", False, [round(0.0004 * step, 4) for step in range(1, 11)]),
)


def noise(count: int, shape: Sequence[int]) -> ImageSet:
    """Uniform noise in memory."""
    config = {"kind": "noise", "recipe": "uniform", "shape": list(shape), "count": count, "seed": 0}
    return build_source(config, name="uniform").read(Path())


def products(multiplications: int) -> None:
    """About as many multiplications, in products of matrices that stay in the processor's cache."""
    one = torch.ones(_SIDE, _SIDE)
    result = torch.empty(_SIDE, _SIDE)
    for _ in range(round(multiplications / _SIDE**3)):
        torch.mm(one, one, out=result)


def measure(name: str, count: int, rounds: int, console: Console) -> None:
    """Prints a network's table.

    Args:
        name: of ``conf/model``, a network for images of 32 x 32 pixels.
        count: images of each turn of the table; ODIN gets one batch.
        rounds: measured rounds.
        console: where the table goes.
    """
    classifier = fresh(name, {"shape": list(_SHAPE), "classes": 10, "normalisation": NORMALISATIONS["half"]})
    size = Engine(None).batch_size(classifier)
    table = count * multiplications(classifier, torch.zeros(1, *_SHAPE), [*classifier.taps])
    floor = Row("multiplications of the table, as matrix products", Step(functools.partial(products, table), count))
    rows: dict[int, list[Row]] = {count: [floor]}
    rows.setdefault(size, [])
    for work in WORKS:
        images = noise(size if work.magnitudes else count, _SHAPE)
        for choice in _BACKENDS:
            backend, start = Backend(choice), time.perf_counter()
            work.run(classifier, noise(size, _SHAPE), backend)
            title = f"{work.name} by {choice}, ready after {time.perf_counter() - start:.1f} s"
            run = functools.partial(work.run, classifier, images, backend)
            step = Step(run, len(images), slow=len(work.magnitudes) > 1)
            limit = work.limits.get((name, choice), work.limits.get(("any", choice)))
            rows[len(images)].append(Row(title, step, limit=limit))
    timings: dict[str, Timing] = {}
    for number, mine in rows.items():
        bare = Step(functools.partial(bare_pass, classifier, noise(number, _SHAPE), size), number)
        steps = {row.name: row.ours for row in mine}
        timings |= interleaved(steps, bare, rounds, by_cpu=torch.get_num_threads() == 1)
    title, every = f"{name}; table: logits and the mean of every tap", [row for mine in rows.values() for row in mine]
    console.print(speed_table(title, every, timings, {}, beside=""))


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a table for each network.

    Args:
        arguments: the command line without the program's name; that of the process if none.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backends", description=__doc__)
    parser.add_argument("--networks", default="resnet20,densenet_bc_100_12,resnet18", help="names of conf/model")
    parser.add_argument("--images", type=int, default=64, help="of each turn of the table")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    console = Console(width=120, highlight=False)
    for name in options.networks.split(","):
        measure(name, options.images, options.rounds, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
