"""Maximum logit."""

from dataclasses import dataclass

import numpy as np

from ood_bench.methods.base import Array
from ood_bench.methods.posthoc import LogitsDetector
from ood_bench.papers.methods import Source


@dataclass
class MaxLogit(LogitsDetector):
    """``max_k z_k`` of the logits z.

    Unlike MSP it is no function of the softmax: adding c to all logits adds c to the score. ``T * logsumexp(z / T)``,
    the energy score, goes to it for T to 0.

    OpenOOD (MLS) and pytorch-ood compute the same.
    """

    source = Source(
        title="Scaling Out-of-Distribution Detection for Real-World Settings",
        authors="Hendrycks et al.",
        venue="ICML",
        year=2022,
        arxiv="1911.11132",
        code="github.com/hendrycks/anomaly-seg",
        licence="MIT",
    )

    def score(self, logits: Array) -> Array:
        """The largest logit."""
        return np.asarray(logits.max(axis=1))
