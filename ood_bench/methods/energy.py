"""Energy score."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Detector, Quantity, Scorer, Setting, View
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.quantities import LOGITS


@dataclass
class Energy(Detector):
    """``T * logsumexp(z / T)`` of the logits z: the negative free energy.

    Source: Liu et al., "Energy-based Out-of-distribution Detection", arXiv 2010.03759.

    Attributes:
        temperature: T; the paper finds 1 to be best.
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ConfigError(f"method energy: temperature is {self.temperature}, it must be above 0")

    def quantities(self, classifier: Classifier) -> Sequence[Quantity]:
        """The logits."""
        return (LOGITS,)

    def raw_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """Negative free energy, ``[len(settings), n, 1]``."""
        logits = scorer.bank(view, (LOGITS,))[LOGITS].astype(np.float64)
        energy = self.temperature * logsumexp(logits / self.temperature, axis=1)
        return np.stack([energy[:, None]] * len(settings))
