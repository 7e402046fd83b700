"""CARef: distance of the features from the mean of those with the same prediction, over their length."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array
from ood_bench.methods.posthoc import HeadDetector
from ood_bench.papers.methods import Source
from ood_bench.utils.printable import listed

CADREF = Source(
    title="CADRef: Robust Out-of-Distribution Detection via Class-Aware Decoupled Relative Feature Leveraging",
    authors="Ling et al.",
    venue="CVPR",
    year=2025,
    arxiv="2503.00325",
    code="github.com/LingAndZero/CADRef",
    licence="CC0-1.0",
)


@dataclass
class Caref(HeadDetector):
    """``-||f - m_c||_1 / ||f||_1``: c the predicted class, m_c the mean features of the training images predicted as c.

    Differences: in the authors' code a class that is predicted for no training image has a mean of NaN; it is refused
    here. ||f||_1 is at least 1e-12, where theirs divides by 0. OpenOOD and pytorch-ood 0.4 have no such detector.
    """

    source = CADREF
    _name = "caref"

    def learn(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """Mean features ``[K, D]`` by predicted class; labels are not used.

        Raises:
            ConfigError: if a class is predicted for no training image.
        """
        predicted = self.logits(features).argmax(axis=1)
        counts = np.bincount(predicted, minlength=len(self.weight))
        if missing := np.flatnonzero(counts == 0).tolist():
            raise ConfigError(
                f"method {self._name}: no training image is classified as class {listed(map(str, missing))}, so that "
                "it has no mean",
                "train for longer, or leave the method out",
            )
        self._means = np.stack([features[predicted == label].mean(axis=0) for label in range(len(counts))])

    def score(self, features: Array) -> Array:
        """Minus the relative error."""
        return -np.abs(self._relative(features, self.logits(features).argmax(axis=1))).sum(axis=1)

    def _relative(self, features: Array, predicted: npt.NDArray[np.int64]) -> Array:
        """``(f - m_c) / ||f||_1``, ``[n, D]``."""
        errors = features - self._means[predicted]
        errors /= np.maximum(np.abs(features).sum(axis=1, keepdims=True), 1e-12)
        return np.asarray(errors)
