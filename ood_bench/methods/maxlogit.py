"""Maximum logit."""

from dataclasses import dataclass

import numpy as np

from ood_bench.methods.base import Array
from ood_bench.methods.posthoc import LogitsDetector


@dataclass
class MaxLogit(LogitsDetector):
    """``max_k z_k`` of the logits z.

    Unlike MSP it is no function of the softmax: adding c to all logits adds c to the score. ``T * logsumexp(z / T)``,
    the energy score, goes to it for T to 0.

    Source: Hendrycks et al., "Scaling Out-of-Distribution Detection for Real-World Settings", arXiv 1911.11132;
    code github.com/hendrycks/anomaly-seg, ``eval_ood.py``. OpenOOD (MLS) and pytorch-ood compute the same.
    """

    def score(self, logits: Array) -> Array:
        """The largest logit."""
        return np.asarray(logits.max(axis=1))
