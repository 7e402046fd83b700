"""Gradient uncertainty: squared length of the last layer's gradient towards a label of all classes."""

from dataclasses import dataclass

import numpy as np

from ood_bench.methods.base import Array
from ood_bench.methods.gradnorm import towards_uniform
from ood_bench.methods.posthoc import HeadDetector
from ood_bench.papers.methods import Source


@dataclass
class GradUncertainty(HeadDetector):
    """``||K p - 1||^2 ||f||^2``: p the softmax over K classes, f the features; both norms L2.

    It is the squared L2 norm of the gradient, with respect to W, of ``-sum_k log p_k``, the binary cross entropy
    between p and a label of ones. It is 0 where p is uniform.

    Differences: the paper trains a small network on the norms of every layer's gradients for ID and OOD images, so
    that it learns what is high for which. pytorch-ood 0.4 adds the norms up, as here, but over all parameters unless
    told otherwise. OpenOOD has no such detector.

    Attributes:
        with_bias: True adds the gradient with respect to b, ``||K p - 1||^2``.
    """

    with_bias: bool = False

    source = Source(
        title="Gradients as a Measure of Uncertainty in Neural Networks",
        authors="Lee and AlRegib",
        venue="ICIP",
        year=2020,
        arxiv="2008.08030",
    )

    def deviations(self) -> list[str]:
        """What takes the place of the paper's classifier."""
        return [
            "The score is the squared norm of the last layer's gradient; the paper trains a classifier on those of all "
            "layers with OOD images."
        ]

    def score(self, features: Array) -> Array:
        """Squared norm of the gradient."""
        lengths = (features**2).sum(axis=1) + self.with_bias
        return np.asarray((towards_uniform(self.logits(features)) ** 2).sum(axis=1) * lengths)
