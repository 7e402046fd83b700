"""Scores of the logits that a network would have, were its last feature vector as long as FeatureNorm's block says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.special import logsumexp
from torch import nn

from ood_bench.methods.base import Array, Networks, Quantity, Scorer, Setting, View, at_every
from ood_bench.methods.feature_norm import FeatureNorm
from ood_bench.methods.msp import log_max_softmax
from ood_bench.methods.posthoc import linear_headed
from ood_bench.models.classifier import Classifier
from ood_bench.models.heads import last_linear
from ood_bench.scoring.quantities import Mean
from ood_bench.scoring.taps import full_precision
from ood_bench.training.spec import TrainingSpec


@dataclass
class SelectedNorm(FeatureNorm):
    """The pooled features z become ``z / |z|`` times FeatureNorm's score of the chosen block; then MSP or energy.

    What comes after the pooling is applied to the new vector: one linear layer, or the hidden ones too where a network
    has some (VGG11). A vector of length 0 has no direction and stays as it is.

    It is the paper's "with selected norm", as its first author describes it in the repository's issue 2; it is not in
    the released code.

    Attributes:
        statistic: ``msp``, the logarithm of the maximum softmax probability; or ``energy``, logsumexp, both at T = 1.
    """

    statistic: Literal["msp", "energy"] = "energy"

    needs = ("feature maps", "pooled features", "last layer", "ID training images")

    def networks(self, networks: Networks) -> list[TrainingSpec]:
        """The run's own network, whose head must be linear."""
        return [linear_headed(networks.base, f"selected_norm_{self.statistic}")]

    def quantities(self, classifier: Classifier) -> Sequence[Quantity]:
        """The norm of the block, and the pooled features."""
        return (*super().quantities(classifier), Quantity(_last_features(classifier)[0], Mean()))

    def raw_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """MSP or energy of the new logits, ``[len(settings), n, 1]``."""
        norm, features = self.quantities(scorer.classifier)
        bank = scorer.bank(view, (norm, features))
        logits = _rescaled_logits(scorer.classifier, bank[features], bank[norm])
        score = log_max_softmax(logits) if self.statistic == "msp" else np.asarray(logsumexp(logits, axis=1))
        return at_every(settings, score)


def _last_features(classifier: Classifier) -> tuple[str, nn.Module]:
    """The tap of the pooled features, and what turns them into logits."""
    network = classifier.network
    if (path := getattr(network, "pooled_head", None)) is not None:
        return "pooled", network.get_submodule(str(path))
    return classifier.penultimate, last_linear(network)[1]


def _rescaled_logits(classifier: Classifier, features: np.ndarray, norms: np.ndarray) -> Array:
    """Logits float64 ``[n, K]`` of features ``[n, D]`` that were brought to the lengths ``[n, 1]``."""
    lengths = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    scaled = features * (norms / np.where(lengths > 0, lengths, 1.0))
    head = _last_features(classifier)[1]
    with torch.inference_mode(), full_precision():
        logits = head(torch.from_numpy(scaled.astype(np.float32)).to(classifier.device))
    return np.asarray(logits.double().cpu().numpy())
