"""VOS: the energy of a network that learned to tell its features from virtual outliers."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from scipy.special import logsumexp

from ood_bench.methods.base import Array, Networks, Scorer
from ood_bench.methods.posthoc import LogitsDetector
from ood_bench.methods.retrained import retrained
from ood_bench.models.vos import VOS, energy_weights
from ood_bench.papers.methods import Source
from ood_bench.training.spec import TrainingSpec


@dataclass
class Vos(LogitsDetector):
    """``log sum_k max(w_k, 0) exp z_k`` of the logits z, with weights w that were learned with the network.

    The network is the run's own with a head that holds w (``model.head=vos``), and the run's recipe but for the loss.
    The authors' whole recipe is ``train=vos_wrn model.head=vos`` (with ``model=wrn_40_2``); every method of such a run
    scores that network.

    Differences: the paper scores with a logistic regression of this energy, which ranks alike where its slope is above
    0. The authors' code for CIFAR does not keep w and scores the plain energy ``logsumexp z``, as OpenOOD does:
    ``definition=code``. OpenOOD's training takes no gradient of energies, and is cross entropy alone. pytorch-ood's
    WeightedEBO is this score, for weights that one brings.

    Attributes:
        definition: ``paper`` with w, or ``code`` without.
        train: changes to the run's recipe, as in ``conf/train``.
    """

    definition: Literal["paper", "code"] = "paper"
    train: dict[str, Any] = field(default_factory=dict)

    source = Source(
        title="VOS: Learning What You Don't Know by Virtual Outlier Synthesis",
        authors="Du et al.",
        venue="ICLR",
        year=2022,
        arxiv="2202.01197",
        code="github.com/deeplearning-wisc/vos",
        licence="Apache-2.0",
    )
    needs = ("logits", "networks of its own")

    def networks(self, networks: Networks) -> list[TrainingSpec]:
        """The run's network with this loss and head."""
        return [retrained(networks.base, "vos", self.train, head=VOS)]

    def fit(self, scorer: Scorer, random: np.random.RandomState) -> None:
        """Reads w.

        Raises:
            ConfigError: if the network has none, or none is above 0.
        """
        weights = energy_weights(scorer.classifier.network) if self.definition == "paper" else None
        self._weights: Array | None = weights

    def score(self, logits: Array) -> Array:
        """Minus the energy."""
        return np.asarray(logsumexp(logits, axis=1, b=self._weights))
