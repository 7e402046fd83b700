"""pNML: regret of the last layer against the best that could be learned with the image's own label known."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_softmax

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array
from ood_bench.methods.complements import log_complements
from ood_bench.methods.posthoc import HeadDetector
from ood_bench.methods.unit import unit_length
from ood_bench.papers.methods import Source


@dataclass
class Pnml(HeadDetector):
    """``-log sum_k p_k / (p_k + (1 - p_k) p_k^kappa) / log K`` with ``kappa = h / (1 + h)``, ``h = g' (G'G)^+ g``.

    g are the features at unit length, G those of the ID training images, p the softmax of ``W g + b``: not of the
    network's own logits. h, the leverage, is high in directions that training images seldom have. Each term of the sum
    is the probability that the class would have, were the image learned with it; their logarithm is the regret
    (equation 20 of the paper).

    Differences: the code that the authors score saved features with appends a 1 to g and takes the part of g outside
    of all G for kappa where that is larger; their README and the network they run do neither, and nor does pytorch-ood
    0.4. Theirs invert in float32, this in float64, without directions of mere rounding, as for ``mahalanobis``. Terms
    are computed from logarithms, so that no probability is clamped to 1e-12 as in pytorch-ood, and confident images do
    not tie. OpenOOD has no such detector.
    """

    source = Source(
        title="Single Layer Predictive Normalized Maximum Likelihood for Out-of-Distribution Detection",
        authors="Bibas, Feder and Hassner",
        venue="NeurIPS",
        year=2021,
        arxiv="2110.09246",
        code="github.com/kobybibas/pnml_ood_detection",
        licence="none stated",
    )

    def learn(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """A root ``[D, R]`` of the pseudo-inverse of G'G; labels are not used.

        Raises:
            ConfigError: if the features of all training images are 0.
        """
        known = unit_length(features)
        values, axes = np.linalg.eigh(known.T @ known)
        kept = values > values[-1] * 1e6 * np.finfo(np.float64).eps
        if values[-1] <= 0:
            raise ConfigError(
                "method pnml: all features of the ID training images are 0: no direction is known",
                "leave the method out for this network",
            )
        self._root = axes[:, kept] / np.sqrt(values[kept])

    def score(self, features: Array) -> Array:
        """Minus the regret, between -1 and 0."""
        rows = unit_length(features)
        leverage = ((rows @ self._root) ** 2).sum(axis=1, keepdims=True)
        log_p = log_softmax(self.logits(rows), axis=1)
        odds = log_p / (1 + leverage) - log_complements(log_p)  # of a term: p^(1 - kappa) against 1 - p
        winner = log_p.argmax(axis=1)[:, None]
        terms = expit(odds)
        np.put_along_axis(terms, winner, -expit(-np.take_along_axis(odds, winner, axis=1)), axis=1)  # less 1
        return np.asarray(-np.log1p(terms.sum(axis=1)) / np.log(log_p.shape[1]))
