"""Deep ensemble: several classifiers trained alike from different seeds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from scipy.special import softmax

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Detector, Networks, Quantity, Scorer, Setting, View, at_every
from ood_bench.methods.msp import log_max_softmax
from ood_bench.methods.ranges import Count
from ood_bench.models.classifier import Classifier
from ood_bench.models.softmax import max_softmax_float32
from ood_bench.papers.methods import Source
from ood_bench.scoring.quantities import LOGITS
from ood_bench.training.spec import TrainingSpec


@dataclass
class DeepEnsemble(Detector):
    """Confidence of several classifiers that share recipe and data and differ by their seed.

    Member i of a run with seed s is the plain classifier of seed ``s + i``, so that members are shared with plain runs;
    ensembles whose seeds are ``members`` or more apart are independent. No adversarial training.

    The paper averages probabilities and takes 5 members.

    Attributes:
        members: number of classifiers.
        combine: ``max_of_mean``, the maximum of the averaged softmax; or ``mean_of_max``, the average of the members'
            maxima, as FSSD's code has it.
    """

    members: Count = 5
    combine: Literal["max_of_mean", "mean_of_max"] = "max_of_mean"

    source = Source(
        title="Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles",
        authors="Lakshminarayanan, Pritzel and Blundell",
        venue="NeurIPS",
        year=2017,
        arxiv="1612.01474",
    )
    needs = ("logits", "networks of its own")

    paper_revision = 1

    def deviations(self) -> list[str]:
        """That ensembles of neighbouring seeds overlap."""
        return [
            f"Member i of seed s is the classifier of seed s + i: ensembles less than {self.members} seeds apart share "
            "members, so that their spread is smaller than that of independent ensembles."
        ]

    def networks(self, networks: Networks) -> list[TrainingSpec]:
        """The members."""
        if networks.base.checkpoint is not None and self.members > 1:
            raise ConfigError("method deep_ensemble: checkpoint= gives one network; leave it out to train the members")
        return [replace(networks.base, seed=networks.base.seed + number) for number in range(self.members)]

    def quantities(self, classifier: Classifier) -> Sequence[Quantity]:
        """The logits, of every member."""
        return (LOGITS,)

    def raw_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """Combined probability ``[len(settings), n, 1]``, from one pass of each member.

        Members go one by one: on a CPU, stacked weights under ``torch.func.vmap`` take longer (docs/speed.md).
        """
        members = [scorer.rows(view, LOGITS, network) for network in range(len(scorer.classifiers))]
        if self.combine == "mean_of_max":
            rows = np.mean([np.exp(log_max_softmax(logits)) for logits in members], axis=0)
        else:
            rows = np.mean([softmax(logits, axis=1) for logits in members], axis=0).max(axis=1)
        return at_every(settings, rows)

    def paper_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """The average of the members' float32 maxima, taken in float32; the raw scores for the other combination."""
        if self.combine != "mean_of_max":
            return self.raw_scores(scorer, view, settings)
        members = [scorer.rows(view, LOGITS, network) for network in range(len(scorer.classifiers))]
        maxima = torch.stack([max_softmax_float32(torch.from_numpy(logits).float()) for logits in members])
        return at_every(settings, maxima.numpy().mean(axis=0).astype(np.float64))
