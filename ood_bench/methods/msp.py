"""Maximum softmax probability."""

from dataclasses import dataclass

import numpy as np

from ood_bench.methods.base import Array
from ood_bench.methods.posthoc import LogitsDetector


def log_max_softmax(logits: Array, temperature: float = 1.0) -> Array:
    """Logarithm of the largest softmax probability ``[..., n]`` of logits ``[..., n, K]``, in float64.

    Computed as ``-log(1 + r)`` with ``r`` the sum of the other classes' odds against the winner, so that it keeps its
    precision where the probability itself would round to 1 and tie.
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    winner = scaled.argmax(axis=-1)[..., None]
    odds = np.exp(scaled - np.take_along_axis(scaled, winner, axis=-1))
    np.put_along_axis(odds, winner, 0.0, axis=-1)
    return np.asarray(-np.log1p(odds.sum(axis=-1)))


@dataclass
class Msp(LogitsDetector):
    """Maximum softmax probability at T = 1, on clean images.

    Source: Hendrycks and Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural
    Networks", arXiv 1610.02136. The score is the logarithm, which ranks alike and does not saturate.
    """

    def score(self, logits: Array) -> Array:
        """Log of the maximum softmax probability."""
        return log_max_softmax(logits)

    def regression_features(self, raw_scores: Array) -> Array:
        """The probability itself."""
        return np.exp(raw_scores)
