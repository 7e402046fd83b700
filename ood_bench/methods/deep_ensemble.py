"""Deep ensemble: several classifiers trained alike from different seeds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Detector, Networks, Quantity, Scorer, Setting, View
from ood_bench.methods.msp import log_max_softmax
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.quantities import LOGITS
from ood_bench.training.spec import TrainingSpec

_SEED_STRIDE = 1000


def softmax(logits: Array) -> Array:
    """Softmax over the last axis, float64."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


@dataclass
class DeepEnsemble(Detector):
    """Confidence of several classifiers that share recipe and data and differ by their seed.

    Member 0 is the run's own classifier; member i has the seed ``1000 i + seed``, so that the ensembles of different
    seeds share no member. No adversarial training.

    Source: Lakshminarayanan, Pritzel and Blundell, "Simple and Scalable Predictive Uncertainty Estimation using Deep
    Ensembles", arXiv 1612.01474, which averages probabilities and takes 5 members.

    Attributes:
        members: number of classifiers.
        combine: ``max_of_mean``, the maximum of the averaged softmax; or ``mean_of_max``, the average of the members'
            maxima, as FSSD's code has it.
    """

    members: int = 5
    combine: Literal["max_of_mean", "mean_of_max"] = "max_of_mean"

    def __post_init__(self) -> None:
        if not 1 <= self.members <= _SEED_STRIDE:
            raise ConfigError(f"method deep_ensemble: members is {self.members}, it must be from 1 to {_SEED_STRIDE}")

    def networks(self, networks: Networks) -> list[TrainingSpec]:
        """The members."""
        base = networks.base
        if base.seed >= _SEED_STRIDE:
            raise ConfigError(
                f"method deep_ensemble: seed {base.seed} is taken by members; use one below {_SEED_STRIDE}"
            )
        return [replace(base, seed=_SEED_STRIDE * number + base.seed) for number in range(self.members)]

    def quantities(self, classifier: Classifier) -> Sequence[Quantity]:
        """The logits, of every member."""
        del classifier
        return (LOGITS,)

    def statistics(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """Combined probability ``[len(settings), n, 1]``."""
        members = [
            scorer.bank(view, (LOGITS,), network)[LOGITS].astype(np.float64)
            for network in range(len(scorer.classifiers))
        ]
        if self.combine == "mean_of_max":
            rows = np.mean([np.exp(log_max_softmax(logits)) for logits in members], axis=0)
        else:
            rows = np.mean([softmax(logits) for logits in members], axis=0).max(axis=1)
        return np.stack([rows[:, None]] * len(settings))
