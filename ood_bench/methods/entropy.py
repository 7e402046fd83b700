"""Entropy of the softmax."""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from ood_bench.methods.base import Array
from ood_bench.methods.gen import Gen
from ood_bench.methods.posthoc import LogitsDetector


@dataclass
class Entropy(LogitsDetector):
    """``sum_k p_k log p_k``, minus the Shannon entropy of the softmax p; at least ``-log K``, that of equal logits.

    It is the row "Shannon entropy" of the GEN paper's tables. As a score for OOD images it is older: Chan, Rottmann and
    Gottschalk, arXiv 2012.06575, use it for segmentation.

    Differences: the authors' code gives NaN where a probability underflows to 0; here log p comes from the logits.
    pytorch-ood clips p to 1e-7 from below, which moves entropies by at most K * 1.6e-6.
    """

    source = Gen.source

    def score(self, logits: Array) -> Array:
        """Minus the entropy."""
        log_p = log_softmax(logits, axis=1)
        return np.asarray((np.exp(log_p) * log_p).sum(axis=1))
