"""LeNet on FashionMNIST: what one shared pass for several methods costs on a network with large maps."""

from pathlib import Path

import numpy as np

from benchmarks.clock import Step
from benchmarks.ours import Ours
from benchmarks.rows import Row
from ood_bench.data.imageset import ImageSet
from ood_bench.methods.fssd import Fssd
from ood_bench.methods.mahalanobis import Mahalanobis
from ood_bench.methods.msp import Msp
from ood_bench.metrics import measure


def lenet_rows(ours: Ours, images: ImageSet, folder: Path) -> list[Row]:
    """All forward-only methods of FSSD's table, cold and warm, and the metrics of one cell.

    Args:
        ours: this library with a LeNet, fitting on ``images``.
        images: what is scored.
        folder: scratch folder.
    """
    detectors = ours.fit({"msp": Msp(), "mahalanobis": Mahalanobis(taps=["all"]), "fssd": Fssd()})
    warm, count = folder / "lenet", len(images)
    ours.scores(detectors, [images], warm)
    scores = np.random.default_rng(0).normal(size=(2, count))
    return [
        Row(
            "msp, mahalanobis and fssd on all taps, together",
            Step(lambda: ours.cold(detectors, [images]), count),
            limit=1.3,
        ),
        Row("the same with a warm store", Step(lambda: ours.scores(detectors, [images], warm), count), limit=0.1),
        Row(
            f"metrics of {count:,} + {count:,} rows with 1,000-fold intervals",
            Step(lambda: measure("exact", scores[0] + 1, scores[1]), count),
        ),
    ]
