"""Relative Mahalanobis distance in feature space."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ood_bench.methods.base import Array
from ood_bench.methods.mahalanobis import Gaussians
from ood_bench.methods.posthoc import FeaturesDetector
from ood_bench.papers.methods import Source


@dataclass
class Rmds(FeaturesDetector):
    """``max_k (d_0 - d_k)`` of the features: d_k the squared Mahalanobis distance to class k, d_0 that to all classes.

    d_k has the class's mean and the covariance within classes; d_0 the mean and the covariance of all ID training
    images, whatever their class. Both covariances are divided by the number of images.

    The authors' code is ``experimental/near_ood/vit/ood_utils.py`` of their repository.

    Differences: the authors' code inverts covariances after adding 1e-20 to their diagonals, which is noise where they
    are singular; as for ``mahalanobis``, directions without variance are left out here, for each of the two. OpenOOD
    computes the same with scikit-learn in float32. pytorch-ood 0.4 divides neither covariance, so that its scores are
    these over the number of images, and adds 1e-6 to both diagonals.
    """

    source = Source(
        title="A Simple Fix to Mahalanobis Distance for Improving Near-OOD Detection",
        authors="Ren et al.",
        venue="arXiv",
        year=2021,
        arxiv="2106.09022",
        code="github.com/google/uncertainty-baselines",
        licence="Apache-2.0",
    )

    _what = "method rmds: features"

    def learn(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """The Gaussians of the classes, and that of all images.

        Raises:
            ConfigError: if a class has no image, or features do not vary within classes.
        """
        self._classes = Gaussians.fit(features, labels, int(labels.max()) + 1, self._what)
        self._background = Gaussians.fit(features, np.zeros_like(labels), 1, self._what)

    def score(self, features: Array) -> Array:
        """How much nearer the nearest class is than the whole."""
        rows = torch.from_numpy(features)
        nearest, whole = self._classes.confidences(rows).amax(dim=1), self._background.confidences(rows)[:, 0]
        return np.asarray(2 * (nearest - whole).numpy())
