"""GradNorm: length of the last layer's gradient towards a uniform softmax."""

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from ood_bench.methods.base import Array
from ood_bench.methods.posthoc import HeadDetector
from ood_bench.methods.ranges import Positive
from ood_bench.papers.methods import Source


@dataclass
class GradNorm(HeadDetector):
    """``||K p - 1||_1 ||f||_1 / T``: p the softmax of z / T over K classes, f the features.

    It is the L1 norm of the gradient, with respect to W, of ``-sum_k log p_k``: the outer product of ``(K p - 1) / T``
    and f. No backward pass is needed.

    Differences: the authors' code and OpenOOD take the gradient image by image, with the same result; pytorch-ood 0.4
    averages over the classes, which divides the score by K, and takes all parameters unless told otherwise. The
    paper's ablation looks at other layers too; its method is the last one's weights, as here.

    Attributes:
        temperature: T; the paper finds 1 to be best.
    """

    temperature: Positive = 1.0

    source = Source(
        title="On the Importance of Gradients for Detecting Distributional Shifts in the Wild",
        authors="Huang, Geng and Li",
        venue="NeurIPS",
        year=2021,
        arxiv="2110.00218",
        code="github.com/deeplearning-wisc/gradnorm_ood",
        licence="Apache-2.0",
    )

    def score(self, features: Array) -> Array:
        """Norm of the gradient."""
        gradients = towards_uniform(self.logits(features) / self.temperature)
        return np.asarray(np.abs(gradients).sum(axis=1) * np.abs(features).sum(axis=1) / self.temperature)


def towards_uniform(logits: Array) -> Array:
    """``K p - 1``, ``[n, K]``: gradient of ``-sum_k log p_k`` with respect to logits ``[n, K]``, p their softmax."""
    return np.asarray(logits.shape[1] * softmax(logits, axis=1) - 1)
