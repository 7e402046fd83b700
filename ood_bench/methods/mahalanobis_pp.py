"""Mahalanobis++: Mahalanobis distance to the nearest class mean, between features at unit length."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ood_bench.methods.base import Array
from ood_bench.methods.mahalanobis import Gaussians
from ood_bench.methods.posthoc import FeaturesDetector
from ood_bench.methods.unit import unit_length
from ood_bench.papers.methods import Source

MAHALANOBIS_PP = Source(
    title="Mahalanobis++: Improving OOD Detection via Feature Normalization",
    authors="Mueller and Hein",
    venue="ICML",
    year=2025,
    arxiv="2505.18032",
    code="github.com/mueller-mp/maha-norm",
    licence="MIT",
)


@dataclass
class MahalanobisPp(FeaturesDetector):
    """``max_c -1/2 (g - mu_c)' P (g - mu_c)``: g the features at unit length, mu_c and P statistics of g too.

    mu_c is the mean of g over the ID training images of class c, P the inverse of the covariance within classes,
    divided by the number of images; as in ``mahalanobis``, but for the penultimate features alone and without steps on
    the input.

    Differences: the authors' code leaves the factor 1/2 out, which ranks alike; its port to OpenOOD computes in
    float32. Both give NaN for features that are all 0, which stay 0 here. As for ``mahalanobis``, directions without
    variance are left out. pytorch-ood 0.4 has no such detector.
    """

    source = MAHALANOBIS_PP

    def learn(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """Class means and covariance of the features at unit length.

        Raises:
            ConfigError: if a class has no image, or directions of features do not vary within classes.
        """
        what = "method mahalanobis_pp: features at unit length"
        self._classes = Gaussians.fit(unit_length(features), labels, int(labels.max()) + 1, what)

    def score(self, features: Array) -> Array:
        """Confidence of the nearest class."""
        return self._classes.confidences(torch.from_numpy(unit_length(features))).amax(dim=1).numpy()
