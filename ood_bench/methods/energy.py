"""Energy score."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from ood_bench.methods.base import Array
from ood_bench.methods.posthoc import LogitsDetector
from ood_bench.methods.ranges import Positive
from ood_bench.papers.methods import Source


@dataclass
class Energy(LogitsDetector):
    """``T * logsumexp(z / T)`` of the logits z: the negative free energy.

    Attributes:
        temperature: T; the paper finds 1 to be best.
    """

    temperature: Positive = 1.0

    source = Source(
        title="Energy-based Out-of-distribution Detection",
        authors="Liu et al.",
        venue="NeurIPS",
        year=2020,
        arxiv="2010.03759",
        code="github.com/wetliu/energy_ood",
        licence="Apache-2.0",
    )

    def score(self, logits: Array) -> Array:
        """Negative free energy."""
        return np.asarray(self.temperature * logsumexp(logits / self.temperature, axis=1))
