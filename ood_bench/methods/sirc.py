"""SIRC: a confidence from the softmax, lowered where a second score says that the features are unusual."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax, logsumexp

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array
from ood_bench.methods.complements import log_complements
from ood_bench.methods.knn import Knn
from ood_bench.methods.nearest import drawn_bank
from ood_bench.methods.posthoc import HeadDetector
from ood_bench.methods.ranges import Count, Share, Whole
from ood_bench.methods.residual import ResidualSpace
from ood_bench.papers.methods import Source


@dataclass
class Sirc(HeadDetector):
    """``-log(S1max - S1) - log(1 + exp(-b (S2 - a)))``: S1 a confidence from the softmax, S2 a score of the features.

    a is the mean of S2 over the ID training images less three standard deviations, b one over the standard deviation:
    where S2 is usual, the second term is near 0, and images are ranked by S1 alone.

    Differences: the authors' code takes S1 from probabilities, so that images with a largest one of 1 are infinitely
    ID; here ``log(S1max - S1)`` comes from the logits. Its residual leaves 512 directions out below a width of 1,500
    and half of them below 512; see :func:`ood_bench.methods.residual.principal_dim` for ours. Its SIRC+, of three S2,
    is not offered. OpenOOD and pytorch-ood 0.4 have no such detector.

    Attributes:
        s1: ``msp``, the largest probability; ``entropy``, minus the softmax's; ``doctor``, the sum of squares.
        s2: ``norm``, ||f||_1; ``residual`` and ``knn``, the scores of those methods.
        dim: of ``residual``.
        k: of ``knn``.
        share: of the ID training images in the bank of ``knn``; the authors' has 12,500 of ImageNet's.
        seed: seeds the draw of that bank.
    """

    s1: Literal["msp", "entropy", "doctor"] = "msp"
    s2: Literal["norm", "residual", "knn"] = "norm"
    dim: Whole = 0
    k: Count = 10
    share: Share = 0.01
    seed: Whole = 0

    source = Source(
        title="Augmenting Softmax Information for Selective Classification with Out-of-Distribution Data",
        authors="Xia and Bouganis",
        venue="ACCV",
        year=2022,
        arxiv="2207.07506",
        code="github.com/Guoxoug/SIRC",
        licence="MIT",
    )

    @property
    def variant(self) -> str:
        """The two scores, unless they are the default's."""
        return "" if (self.s1, self.s2) == ("msp", "norm") else f"of {self.s1} and {self.s2}"

    def learn(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """What S2 needs, and its mean and standard deviation; labels are not used.

        Raises:
            ConfigError: if S2 cannot be learned, or does not vary over the training images.
        """
        if self.s2 == "residual":
            self._space = ResidualSpace.fit(features, self.weight, self.bias, self.dim, "sirc")
        elif self.s2 == "knn":
            drawn = drawn_bank(len(features), self.share, self.k, self.seed, "sirc")
            self._neighbours = Knn(self.k)
            self._neighbours.learn(features[drawn], labels[drawn])
        scores = self._second(features)
        self._mean, self._deviation = scores.mean(), scores.std()
        if self._deviation <= 1e-12 * np.abs(scores).max():
            raise ConfigError(
                f"method sirc: {self.s2} does not vary over the ID training images, so that nothing is unusual",
                "choose another method.sirc.s2",
            )

    def score(self, features: Array) -> Array:
        """Minus the logarithm of the uncertainty, raised where S2 is low."""
        unusual = -(self._second(features) - self._mean) / self._deviation - 3
        return -log_uncertainty(self.logits(features), self.s1) - np.logaddexp(0, unusual)

    def _second(self, features: Array) -> Array:
        """S2 ``[n]`` of features ``[n, D]``, higher for ID."""
        if self.s2 == "norm":
            return np.asarray(np.abs(features).sum(axis=1))
        return -self._space.norms(features) if self.s2 == "residual" else self._neighbours.score(features)


def log_uncertainty(logits: Array, kind: str) -> Array:
    """Logarithm ``[n]`` of how far the softmax of logits ``[n, K]`` is from certain; no probability rounds to 1.

    Args:
        logits: of at least two classes.
        kind: ``msp``: one minus the largest probability; ``entropy``; ``doctor``: one minus the sum of squares.
    """
    log_p = log_softmax(logits, axis=1)
    rest = log_complements(log_p)
    if kind == "msp":
        return np.asarray(rest.min(axis=1))
    if kind == "doctor":
        return np.asarray(logsumexp(log_p + rest, axis=1))
    small = log_p > -1e-10  # there -log p is 1 - p
    surprise = np.where(small, rest, np.log(np.where(small, 1.0, -log_p)))
    return np.asarray(logsumexp(log_p + surprise, axis=1))
