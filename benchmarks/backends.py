"""What a forward-only table costs by each backend: logits and the mean of every tap, in bare forward passes.

``python -m benchmarks.backends`` compiles first, outside the clock, and gives the seconds that it took. Weights are
fresh: the speed is that of trained ones.
"""

import argparse
import functools
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.clock import Step, interleaved
from benchmarks.ours import bare_pass
from benchmarks.report import speed_table
from benchmarks.rows import Row
from benchmarks.subjects import fresh
from ood_bench.checkpoints.__main__ import NORMALISATIONS
from ood_bench.data.imageset import ImageSet
from ood_bench.data.sources import build_source
from ood_bench.scoring.backends import Backend, BackendName
from ood_bench.scoring.engine import Engine
from ood_bench.scoring.quantities import LOGITS, Mean, Quantity

LIMITS = {("resnet20", "openvino"): 0.65, ("densenet_bc_100_12", "openvino"): 0.40}
_BACKENDS: tuple[BackendName, ...] = ("torch", "openvino")


def noise(count: int, shape: Sequence[int]) -> ImageSet:
    """Uniform noise in memory."""
    config = {"kind": "noise", "recipe": "uniform", "shape": list(shape), "count": count, "seed": 0}
    return build_source(config, name="uniform").read(Path())


def measure(name: str, count: int, rounds: int, console: Console) -> None:
    """Prints a network's table of backends.

    Args:
        name: of ``conf/model``, a network for images of 32 x 32 pixels.
        count: images of each turn.
        rounds: measured rounds.
        console: where the table goes.
    """
    classifier = fresh(name, {"shape": [3, 32, 32], "classes": 10, "normalisation": NORMALISATIONS["half"]})
    images, size = noise(count, (3, 32, 32)), Engine(None).batch_size(classifier)
    wanted = [LOGITS, *(Quantity(tap, Mean()) for tap in classifier.taps)]
    ready: dict[str, Backend] = {}
    for choice in _BACKENDS:
        backend, start = Backend(choice), time.perf_counter()
        Engine(None, backend=backend).collect(classifier, noise(size + 1, (3, 32, 32)), wanted)
        ready[f"{choice}, ready after {time.perf_counter() - start:.1f} s"] = backend

    def table(backend: Backend) -> None:
        Engine(None, backend=backend).collect(classifier, images, wanted)

    steps = {title: Step(functools.partial(table, backend), count) for title, backend in ready.items()}
    bare = Step(lambda: bare_pass(classifier, images, size), count)
    timings = interleaved(steps, bare, rounds, by_cpu=torch.get_num_threads() == 1)
    rows = [Row(title, step, limit=LIMITS.get((name, title.split(",")[0]))) for title, step in steps.items()]
    console.print(speed_table(f"{name}: logits and mean of every tap", rows, timings, {}, beside=""))


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a table for each network.

    Args:
        arguments: the command line without the program's name; that of the process if none.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backends", description=__doc__)
    parser.add_argument("--networks", default="resnet20,densenet_bc_100_12,resnet18", help="names of conf/model")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    console = Console(width=120, highlight=False)
    for name in options.networks.split(","):
        measure(name, options.images, options.rounds, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
