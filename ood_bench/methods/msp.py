"""Maximum softmax probability."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ood_bench.methods.base import Array, Scorer, Setting, View, at_every
from ood_bench.methods.posthoc import LogitsDetector
from ood_bench.models.softmax import max_softmax_float32
from ood_bench.papers.methods import Source
from ood_bench.scoring.quantities import LOGITS


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

    The score is the logarithm, which ranks alike and does not saturate.
    """

    source = Source(
        title="A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks",
        authors="Hendrycks and Gimpel",
        venue="ICLR",
        year=2017,
        arxiv="1610.02136",
        code="github.com/hendrycks/error-detection",
        licence="MIT",
    )

    paper_revision = 1

    def score(self, logits: Array) -> Array:
        """Log of the maximum softmax probability."""
        return log_max_softmax(logits)

    def paper_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """The probability itself, in float32."""
        logits = torch.from_numpy(scorer.rows(view, LOGITS)).float()
        return at_every(settings, max_softmax_float32(logits).double().numpy())
