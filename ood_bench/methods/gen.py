"""GEN: generalised entropy of the softmax."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy.special import log_softmax

from ood_bench.methods.base import Array
from ood_bench.methods.posthoc import LogitsDetector
from ood_bench.methods.ranges import Count, Positive
from ood_bench.papers.methods import Source

_CLAMP = 1e-7


@dataclass
class Gen(LogitsDetector):
    """``-sum_k p_k^gamma (1 - p_k)^gamma`` over the M largest probabilities p of the softmax.

    It is the paper's generalised entropy with its truncated sum, and the defaults are those of its code. Every M from
    the number of classes on means all classes.

    Differences: OpenOOD computes the same. pytorch-ood averages instead of summing, which ranks alike, and clamps p to
    [1e-7, 1 - 1e-7]: at gamma 0.1 a probability of 1e-12 then counts 0.2 instead of 0.06, so that ranks change where
    there are many classes; ``definition=pytorch_ood`` does the same (its own default for M is all classes).
    1 - p is computed from the other classes' probabilities, so that it does not round to 0 where p is almost 1.

    Attributes:
        gamma: exponent, above 0; the paper takes 0.1.
        top: M; the paper takes 100 of ImageNet's 1,000 classes.
        definition: ``paper``, or ``pytorch_ood``.
    """

    gamma: Positive = 0.1
    top: Count = 100
    definition: Literal["paper", "pytorch_ood"] = "paper"

    source = Source(
        title="GEN: Pushing the Limits of Softmax-Based Out-of-Distribution Detection",
        authors="Liu, Lochman and Zach",
        venue="CVPR",
        year=2023,
        url="https://openaccess.thecvf.com/content/CVPR2023/papers/Liu_GEN_Pushing_the_Limits_of_Softmax-Based_Out-of-Distribution_Detection_CVPR_2023_paper.pdf",
        code="github.com/XixiLiu95/GEN",
        licence="Apache-2.0",
    )
    published_grid: ClassVar = {"gamma": [0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0], "top": [10, 50, 100, 200, 500, 1000]}

    def score(self, logits: Array) -> Array:
        """Minus the generalised entropy, from logarithms of p and 1 - p."""
        logits = -np.sort(-logits, axis=1)
        log_p = log_softmax(logits, axis=1)
        p, rest = np.exp(log_p), -np.expm1(log_p)
        rest[:, 0] = p[:, 1:].sum(axis=1)  # what is left beside the largest, which is the only one near 1
        if self.definition == "pytorch_ood":
            p, rest = p.clip(_CLAMP, 1 - _CLAMP), rest.clip(_CLAMP, 1 - _CLAMP)
        terms = ((p * rest) ** self.gamma)[:, : self.top]
        return np.asarray(-terms.mean(axis=1) if self.definition == "pytorch_ood" else -terms.sum(axis=1))
