"""NAC-UE: share of the features whose state, activation times gradient, is well covered by training images."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from ood_bench.methods.base import Array
from ood_bench.methods.coverage import Coverage, balanced, edges, edges_to_the_ends
from ood_bench.methods.posthoc import HeadDetector
from ood_bench.methods.ranges import Count, Edges, Positive, Whole
from ood_bench.papers.methods import Source

_FLOOR = 1e-12


@dataclass
class Nac(HeadDetector):
    """Mean over the D features of ``min(n_d(s_d) / full, 1)``, the coverage of the feature's state s_d.

    ``s_d = sigmoid(steepness * f_d * g_d)``; g is the gradient by the features f of ``-mean_k log p_k``, the divergence
    of the softmax p from the uniform distribution. The last layer gives it as ``W' (p - 1 / K)``, without a backward
    pass. ``n_d(s)`` counts, among ``images`` ID training images that hold as many of every class, those whose state
    falls into the same bin.

    This is NAC-UE at the penultimate layer alone, as the authors' configuration for CIFAR-10 has it; their published
    numbers are of the mean over it and three earlier stages, which takes backward passes: method ``nac_layers``.

    Differences: the draw of the images differs from the authors'. The bins are those of their code, equal steps before
    a logarithm and mirrored. pytorch-ood takes other bins (finer towards 0 and 1), and everything in its loader instead
    of a balanced draw; it adds 1e-12 to p, so that classes of lower probability have no part in the gradient
    (``definition=pytorch_ood``, with the same ``steepness``, ``bins`` and ``full``; in float32 there).

    Attributes:
        steepness: of the sigmoid; the authors take 100 for CIFAR-10, 50 for CIFAR-100 and 3,000 for ImageNet. It must
            suit the network: where most products of feature and gradient are far above 1 / steepness, as those of
            CIFAR ResNet-20 are above 1 / 100, the sigmoid keeps little but their sign.
        bins: M, the number of edges of bins, even and at least 4; 50. The number of bins for pytorch-ood.
        full: how many images cover a bin fully; the authors search 10 and 50 for CIFAR-10.
        images: how many training images are counted, at most; 1,000, or 50,000 for ViT.
        seed: seeds the draw of the images.
        definition: ``paper``, or ``pytorch_ood``, for which ``images`` and ``seed`` mean nothing.
    """

    steepness: Positive = 100.0
    bins: Edges = 50
    full: Count = 50
    images: int = 1000
    seed: Whole = 0
    definition: Literal["paper", "pytorch_ood"] = "paper"

    younger: ClassVar = frozenset({"definition"})
    source = Source(
        title="Neuron Activation Coverage: Rethinking Out-of-distribution Detection and Generalization",
        authors="Liu et al.",
        venue="ICLR",
        year=2024,
        arxiv="2306.02879",
        code="github.com/BierOne/ood_coverage",
        licence="MIT",
    )
    published_grid: ClassVar = {"full": [10, 50]}

    def deviations(self) -> list[str]:
        """That one layer is read."""
        return ["The coverage is that of the pooled features alone; the paper adds three earlier stages."]

    def learn(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """Coverage of every bin of every feature.

        Raises:
            ConfigError: if a class has no image, or ``images`` is below the number of classes.
        """
        if self.definition == "paper":
            features = features[balanced(labels, len(self.weight), self.images, self.seed, "nac")]
        bounds = edges(self.bins) if self.definition == "paper" else edges_to_the_ends(self.bins)
        self._coverage = Coverage(self._products(features), self.steepness, bounds, self.full)

    def score(self, features: Array) -> Array:
        """Mean coverage of the features' states."""
        return self._coverage.of(self._products(features))

    def _products(self, features: Array) -> Array:
        """Features times gradients, ``[n, D]``."""
        p = softmax(self.logits(features), axis=1)
        if self.definition == "paper":
            by_logits = p - 1 / len(self.weight)
        else:
            pulled = p / (p + _FLOOR)  # towards each class
            by_logits = p * pulled.mean(axis=1, keepdims=True) - pulled / len(self.weight)
        gradients = by_logits @ self.weight
        return np.asarray(np.multiply(gradients, features, out=gradients))
