"""fDBD: mean distance to the decision boundaries of the other classes, over the distance from the mean."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array
from ood_bench.methods.posthoc import HeadDetector
from ood_bench.papers.methods import Source

_SHORTEST = 1e-8


@dataclass
class Fdbd(HeadDetector):
    """``mean over k != c of (z_c - z_k) / ||w_c - w_k||``, over ``||f - mu_0||``: c the predicted class.

    Each term is the distance of the features f from the boundary between c and class k, w_k the row of W. mu_0 is the
    mean of f over the ID training images.

    Differences: the authors' code and OpenOOD sum over k, which ranks alike; pytorch-ood 0.4 averages, as the paper
    does. OpenOOD lets its search choose between the two normalisers. The normaliser is at least 1e-8, as in
    pytorch-ood, where the others divide by 0. Classes with the same weights give NaN there, and are refused here.

    Attributes:
        normaliser: ``distance`` for ||f - mu_0||, the paper's; ``norm`` for ||f||.
    """

    normaliser: Literal["distance", "norm"] = "distance"

    source = Source(
        title="Fast Decision Boundary based Out-of-Distribution Detector",
        authors="Liu and Qin",
        venue="ICML",
        year=2024,
        arxiv="2312.11536",
        code="github.com/litianliu/fDBD-OOD",
        licence="MIT",
    )
    published_grid: ClassVar = {"normaliser": ["distance", "norm"]}

    def learn(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """Mean of the features, and distances between the rows of W; labels are not used.

        Raises:
            ConfigError: if two classes have the same weights, between which there is no boundary.
        """
        self._mean = features.mean(axis=0)
        between = cdist(self.weight, self.weight)
        np.fill_diagonal(between, np.inf)
        if between.min() == 0:
            one, other = np.unravel_index(between.argmin(), between.shape)
            raise ConfigError(
                f"method fdbd: classes {one} and {other} have the same weights in the last layer, so that no boundary "
                "lies between them",
                "leave the method out for this network",
            )
        self._inverse = 1 / between

    def score(self, features: Array) -> Array:
        """Mean distance to the boundaries, normalised."""
        logits = self.logits(features)
        gaps = logits.max(axis=1, keepdims=True) - logits
        distances = np.einsum("nk,nk->n", gaps, self._inverse[logits.argmax(axis=1)]) / (logits.shape[1] - 1)
        origin = self._mean if self.normaliser == "distance" else 0.0
        return np.asarray(distances / np.maximum(np.linalg.norm(features - origin, axis=1), _SHORTEST))
