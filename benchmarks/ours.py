"""The work that is timed, done by this library as a run does it."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from hydra.utils import get_class

from ood_bench.checkpoints.__main__ import node_named
from ood_bench.data.imageset import ImageSet
from ood_bench.methods.base import Array, Detector, Scorer, View, build_detector
from ood_bench.methods.feature_norm import FeatureNorm, candidate_taps
from ood_bench.methods.mahalanobis import Mahalanobis
from ood_bench.methods.posthoc import RowsDetector
from ood_bench.metrics import Curve, exact, measure
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.engine import Engine
from ood_bench.scoring.taps import full_precision
from ood_bench.utils.configs import conf_dir


def bare_pass(classifier: Classifier, images: ImageSet, batch_size: int) -> None:
    """Sends all images through the network in inference mode and keeps nothing: the unit of all ratios."""
    with full_precision(), torch.inference_mode():
        for batch in View(images).batches(batch_size):
            classifier.network(classifier.normalise(batch))


NEED_PREDICTIONS = ("gram",)
"""Methods that are refused where a class is predicted for no image, as by fresh weights."""


def forward_only() -> dict[str, Detector]:
    """Shipped methods that read the shared pass over the run's own classifier, with their shipped settings.

    Those that learn from its features or logits are measured by :mod:`benchmarks.posthoc`.
    """
    found: dict[str, Detector] = {}
    for path in sorted((conf_dir() / "method").glob("*.yaml")):
        node = node_named("method", path.stem)
        target: type[Detector] = get_class(node["_target_"])
        if target.networks is Detector.networks and target.quantities is not Detector.quantities:
            detector = build_detector(path.stem, node)
            learns = isinstance(detector, RowsDetector) and detector.learns
            if (
                path.stem not in NEED_PREDICTIONS
                and not learns
                and not any(setting.get("epsilon") for setting in detector.grid())
            ):
                found[path.stem] = detector
    return found


def feature_norms(classifier: Classifier) -> dict[str, Detector]:
    """FeatureNorm of every block."""
    return {f"feature_norm {tap}": FeatureNorm(tap=tap) for tap in candidate_taps(classifier.network)}


def every_tap() -> dict[str, Detector]:
    """Mahalanobis on every tap, which its shipped settings leave out."""
    return {"mahalanobis on every tap": Mahalanobis(taps=["all"])}


class Ours:
    """Scores images with fitted detectors.

    Args:
        classifier: the network.
        train: ID training images with labels, which detectors are fitted on before anything is timed.
        folder: scratch folder; every cold store is a new one in it.
    """

    def __init__(self, classifier: Classifier, train: ImageSet, folder: Path) -> None:
        self.classifier, self._train, self._folder = classifier, train, folder
        self._fitting = Engine(None)

    @property
    def rows(self) -> int:
        """Images that detectors are fitted on."""
        return len(self._train)

    @property
    def batch_size(self) -> int:
        """Images that go through the network together, for both libraries."""
        return self._fitting.batch_size(self.classifier)

    def fit(self, detectors: Mapping[str, Detector]) -> list[Detector]:
        """Fits and calibrates detectors on the ID training images."""
        scorer = Scorer(self._fitting, [self.classifier], self._train)
        for detector in detectors.values():
            detector.fit(scorer, np.random.RandomState(0))
            detector.calibrate(scorer, detector.grid()[0])
        return list(detectors.values())

    def cold(self, detectors: Sequence[Detector], sets: Sequence[ImageSet]) -> list[Array]:
        """Scores of every detector for all images, into an empty store; see :meth:`scores`."""
        with tempfile.TemporaryDirectory(dir=self._folder) as fresh:
            return self.scores(detectors, sets, Path(fresh))

    def scores(self, detectors: Sequence[Detector], sets: Sequence[ImageSet], store: Path) -> list[Array]:
        """Scores of every detector, float64 ``[detectors, n]`` for each image set.

        One shared pass over each set, banks written to and read from ``store``, each detector with its first setting.
        """
        engine = Engine(store)
        scorer = Scorer(engine, [self.classifier], self._train)
        wanted = [quantity for detector in detectors for quantity in detector.quantities(self.classifier)]
        found = []
        for images in sets:
            setting = [detector.grid()[:1] for detector in detectors]
            steps = [one for d, s in zip(detectors, setting, strict=True) for one in d.steps(scorer, s)]
            engine.collect(self.classifier, images, wanted, steps)
            rows = [d.scores(scorer, View(images), s[0]) for d, s in zip(detectors, setting, strict=True)]
            found.append(np.stack(rows))
        return found

    def table(self, detectors: Sequence[Detector], sets: Sequence[ImageSet], store: Path | None = None) -> Array:
        """AUROC of every detector on every OOD set with all other exact metrics, without intervals.

        Args:
            detectors: fitted ones.
            sets: ID images, then OOD sets.
            store: a warm one, or none for an empty one.

        Returns:
            Percent ``[OOD sets, detectors]``.
        """
        known, *others = self.cold(detectors, sets) if store is None else self.scores(detectors, sets, store)
        values = [
            [
                measure("exact", one, other, resamples=0)[1]["auroc"].value
                for one, other in zip(known, rows, strict=True)
            ]
            for rows in others
        ]
        return np.array(values)

    def grid(self, detector: Detector, mixed: ImageSet, known: int) -> Array:
        """AUROC in percent at every setting of a detector, ``[settings]``; the first ``known`` images are ID."""
        scorer = Scorer(Engine(None), [self.classifier], self._train)
        raw_scores = detector.raw_scores(scorer, View(mixed), detector.grid())
        rows = [detector.final_scores(one) for one in raw_scores]
        return 100 * np.array([exact.auroc(Curve.of(row[:known], row[known:])) for row in rows])
