"""Speed as ratios to the bare forward pass, measured in one interleaved run: ``python -m ood_bench.bench``."""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ood_bench.config import default_data_root
from ood_bench.data.imageset import ImageSet
from ood_bench.data.sources import build_source
from ood_bench.methods.base import Detector, Scorer, View
from ood_bench.methods.fssd import Fssd
from ood_bench.methods.mahalanobis import Mahalanobis
from ood_bench.methods.msp import Msp
from ood_bench.metrics import measure
from ood_bench.models.classifier import Classifier, freeze, to_layout
from ood_bench.models.lenet import LeNet
from ood_bench.scoring.engine import Engine
from ood_bench.scoring.taps import full_precision

_WARMUP = 1


def _images(count: int, root: Path) -> ImageSet:
    """FashionMNIST test images if they are under ``root``, else uniform noise of the same shape."""
    config = {"kind": "torchvision_mnist", "dataset": "FashionMNIST", "split": "test"}
    source = build_source(config, name="fashionmnist")
    if source.missing(root) is not None:
        noise = {"kind": "noise", "recipe": "uniform", "shape": [1, 28, 28], "count": count, "seed": 0}
        source = build_source(noise, name="uniform")
    whole = source.read(root)
    labels = np.arange(min(count, len(whole)), dtype=np.int64) % 10
    return ImageSet.of(whole.name, np.ascontiguousarray(whole.images[:count]), labels)


def _classifier() -> Classifier:
    """A LeNet with fresh weights: its speed is that of a trained one."""
    torch.manual_seed(0)
    network = to_layout(freeze(LeNet((1, 28, 28), 10)), torch.channels_last)
    return Classifier(network, (0.2860,), (0.3530,), {"weights_sha256": "fresh weights of seed 0"})


def _bare_forward(classifier: Classifier, images: ImageSet, batch_size: int) -> None:
    with full_precision(), torch.inference_mode():
        for batch in View(images).batches(batch_size):
            classifier.network(classifier.normalise(batch))


def _score_all(detectors: list[Detector], classifier: Classifier, images: ImageSet, root: Path) -> None:
    """Scores all images with all detectors, as a run does: one shared pass, banks written below ``root``."""
    engine = Engine(root)
    scorer = Scorer(engine, [classifier], images)
    engine.collect(classifier, images, [one for detector in detectors for one in detector.quantities(classifier)])
    for detector in detectors:
        detector.statistics(scorer, View(images), detector.grid())


def _measured(steps: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every step in every round; the steps take turns, so that a slow spell hits all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(_WARMUP + rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if number >= _WARMUP:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def compare(count: int, rounds: int, data_root: Path) -> tuple[str, dict[str, list[float]]]:
    """Times the bare pass, all forward-only methods cold and warm, and one cell's metrics with intervals.

    Args:
        count: number of images.
        rounds: measured rounds after one of warming up.
        data_root: where FashionMNIST may be found.

    Returns:
        What was scored, and the seconds of every step in every round.
    """
    images, classifier = _images(count, data_root), _classifier()
    detectors: list[Detector] = [Msp(), Mahalanobis(taps=["all"]), Fssd()]
    scorer = Scorer(Engine(None), [classifier], images)
    for detector in detectors:
        detector.fit(scorer, np.random.RandomState(0))
    batch_size = scorer.engine.batch_size(classifier)
    scores = np.random.default_rng(0).normal(size=(2, len(images)))
    with tempfile.TemporaryDirectory() as folder:
        warm = Path(folder) / "warm"
        _score_all(detectors, classifier, images, warm)

        def cold() -> None:
            with tempfile.TemporaryDirectory(dir=folder) as fresh:
                _score_all(detectors, classifier, images, Path(fresh))

        steps: dict[str, Callable[[], None]] = {
            "bare forward pass": lambda: _bare_forward(classifier, images, batch_size),
            "msp, mahalanobis and fssd on all taps, together": cold,
            "the same with a warm store": lambda: _score_all(detectors, classifier, images, warm),
            "metrics of one cell with 1,000-fold intervals": lambda: void(measure("exact", scores[0] + 1, scores[1])),
        }
        seconds = _measured(steps, rounds)
    return f"{len(images):,} images ({images.name}), LeNet, {classifier.device}", seconds


def void(_: object) -> None:
    """Drops a result."""


def main() -> None:
    """Prints the table of ratios."""
    parser = argparse.ArgumentParser(prog="python -m ood_bench.bench", description=__doc__)
    parser.add_argument("--images", type=int, default=5000, help="number of images (default 5000)")
    parser.add_argument("--rounds", type=int, default=7, help="measured rounds (default 7)")
    parser.add_argument("--data-root", type=Path, default=Path(default_data_root()), help="data root with FashionMNIST")
    options = parser.parse_args()
    title, seconds = compare(options.images, options.rounds, options.data_root)
    bare, *_ = seconds.values()
    table = Table(title=f"{title}, {torch.get_num_threads()} threads", box=SIMPLE_HEAD)
    for heading in ("step", "median s", "times the bare pass", "least to most"):
        table.add_column(heading, justify="left" if heading == "step" else "right")
    for name, times in seconds.items():
        ratios = [time / base for time, base in zip(times, bare, strict=True)]
        spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
        table.add_row(name, f"{statistics.median(times):.3f}", f"{statistics.median(ratios):.3f}", spread)
    Console().print(table)


if __name__ == "__main__":
    main()
