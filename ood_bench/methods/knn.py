"""Distance to the k-th nearest training image in feature space."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Setting
from ood_bench.methods.nearest import kth_distances
from ood_bench.methods.posthoc import FeaturesDetector
from ood_bench.methods.ranges import Count
from ood_bench.papers.methods import Source


def normalised(features: Array) -> Array:
    """Features ``[n, D]`` over their norm plus 1e-10, as the authors' code has them: zeros stay zeros."""
    return np.asarray(features / (np.linalg.norm(features, axis=1, keepdims=True) + 1e-10))


@dataclass
class Knn(FeaturesDetector):
    """``-||g - g_(k)||^2``: g the feature vector at unit length, g_(k) the k-th nearest of the ID training images.

    The authors' ``run_cifar.py`` squares the distance as here, and its bank holds all training images.

    Differences that do not change ranks: OpenOOD adds 1e-10 after the division, which cancels in differences, but gives
    NaN for features of norm 0; pytorch-ood 0.4 takes the root.

    pytorch-ood before 0.4 did not normalise, which changes them (``definition=pytorch_ood_0.3``; its k was 1); 0.4 does
    the same with ``normalize=False``.

    Attributes:
        k: which neighbour; the paper takes 50 for CIFAR-10, 200 for CIFAR-100 and 1,000 for ImageNet.
        definition: ``paper``, or ``pytorch_ood_0.3``.
    """

    k: Count = 50
    definition: Literal["paper", "pytorch_ood_0.3"] = "paper"

    younger: ClassVar = frozenset({"definition"})
    source = Source(
        title="Out-of-Distribution Detection with Deep Nearest Neighbors",
        authors="Sun et al.",
        venue="ICML",
        year=2022,
        arxiv="2204.06507",
        code="github.com/deeplearning-wisc/knn-ood",
        licence="none stated",
    )
    published_grid: ClassVar = {"k": [50, 100, 200, 500, 1000]}

    def possible(self, setting: Setting) -> bool:
        """Whether there are as many training images."""
        return not hasattr(self, "_bank") or setting["k"] <= len(self._bank)

    def learn(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """The bank: features of all training images, as they are compared.

        Raises:
            ConfigError: if there are fewer than ``k``.
        """
        if len(features) < self.k:
            raise ConfigError(
                f"method knn: k is {self.k}, and there are {len(features)} ID training images",
                f"set method.knn.k to at most {len(features)}",
            )
        self._bank = self._scaled(features)

    def score(self, features: Array) -> Array:
        """Minus the squared distance to the k-th nearest."""
        return -kth_distances(self._scaled(features), self._bank, self.k)

    def _scaled(self, features: Array) -> Array:
        return normalised(features) if self.definition == "paper" else features
