"""What methods that learn from features would cost at ImageNet's scale, from synthetic features of its widths.

A thousand classes and 2,048 features as of a ResNet-50: learning is measured on some thousand rows and taken to grow
with their number, scoring is measured for each image and held against a bare pass of ResNet-50 on the same core.
"""

import argparse
import sys
import time
import tracemalloc
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torchvision

from benchmarks.posthoc import posthoc_methods
from ood_bench.checkpoints.__main__ import node_named
from ood_bench.errors import OodBenchError
from ood_bench.methods.base import Array, build_detector
from ood_bench.methods.posthoc import FeaturesDetector, HeadDetector, RowsDetector

IMAGENET, CLASSES, WIDTH = 1_281_167, 1000, 2048
TOO_LARGE = {"ddu": "a covariance for each class: 34 GB"}
"""Methods that are not tried, and why."""
_CHANGES: dict[str, dict[str, Any]] = {"openmax": {"tail": 5}, "nnguide": {"share": 0.1}}


class Scaled(NamedTuple):
    """One method.

    Attributes:
        method: its name.
        learn: hours of learning from all of ImageNet's training images on one core.
        score: passes of ResNet-50 that scoring an image takes.
        memory: GB beyond the features that learning takes there, its peak grown with the number of rows.
    """

    method: str
    learn: float
    score: float
    memory: float


def synthetic(rows: int, classes: int, width: int) -> tuple[Array, npt.NDArray[np.int64], Array]:
    """Non-negative features ``[rows, width]``, their labels and a last layer ``[classes, width]``."""
    random = np.random.default_rng(0)
    weight = random.normal(size=(classes, width)) / np.sqrt(width)
    labels = np.arange(rows, dtype=np.int64) % classes
    return np.maximum(random.normal(size=(rows, width)) + 12 * weight[labels], 0), labels, weight


def ready(name: str, weight: Array) -> RowsDetector:
    """A method with settings that suit few rows of many classes, and with a last layer ``[classes, width]``."""
    detector = build_detector(name, node_named("method", name) | _CHANGES.get(name, {}))
    assert isinstance(detector, RowsDetector)  # noqa: S101 - so are all of posthoc_methods
    if isinstance(detector, HeadDetector):
        detector.weight, detector.bias = weight, np.zeros(len(weight))
    return detector


def scaled(name: str, rows: int, images: int, unit: float) -> Scaled:
    """Measures one method; ``unit`` is the processor time of one image's bare pass."""
    features, labels, weight = synthetic(rows, CLASSES, WIDTH)
    detector = ready(name, weight)
    given = features if isinstance(detector, FeaturesDetector) else features @ weight.T
    tracemalloc.start()
    start = time.process_time()
    detector.learn(given, labels)
    learned = time.process_time() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    start = time.process_time()
    detector.score(given[:images] + 0.01)
    scored = (time.process_time() - start) / images
    times = IMAGENET / rows
    return Scaled(name, learned * times / 3600, scored / unit, peak * times / 1e9)


def bare(images: int = 8) -> float:
    """Processor time of ResNet-50 for one image of 224 x 224 pixels."""
    network = torchvision.models.resnet50().eval().to(memory_format=torch.channels_last)
    x = torch.randn(images, 3, 224, 224).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        network(x)
        start = time.process_time()
        network(x)
    return (time.process_time() - start) / images


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line for each method."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wide", description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000, help="rows to learn from (default 20,000)")
    parser.add_argument("--images", type=int, default=200, help="rows to score (default 200)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    unit = bare()
    sys.stdout.write(f"one pass of ResNet-50: {unit:.3f} s an image\n")
    for name, detector in posthoc_methods().items():
        if name in TOO_LARGE:
            sys.stdout.write(f"{name:18} {TOO_LARGE[name]}\n")
        elif isinstance(detector, RowsDetector) and detector.learns:
            try:
                found = scaled(name, options.rows, options.images, unit)
            except OodBenchError as error:
                sys.stdout.write(f"{name:18} {error}\n")
                continue
            sys.stdout.write(f"{name:18} {found.learn:8.2f} h {found.score:8.4f} passes {found.memory:8.1f} GB\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
