"""FeatureNorm of every block of a network, each block with a record of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ood_bench.methods.base import Detector, Networks, Quantity, Scorer
from ood_bench.methods.feature_norm import FeatureNorm, candidate_taps, norm_ratios
from ood_bench.models.classifier import Classifier, build_network

_EVERY = "every"


@dataclass
class FeatureNormBlocks(FeatureNorm):
    """FeatureNorm at a block that NormRatio did not choose, to see how good its choice is.

    In a run ``tap: every`` stands for one detector a block, all served by the same passes. Each record holds its own
    block's NormRatio, so that a chart can show it beside the detection metrics.

    The paper draws both over the blocks.

    Attributes:
        tap: ``every``, or the name of one tap.
    """

    tap: str = _EVERY

    @property
    def variant(self) -> str:
        """The block."""
        return "" if self.tap == _EVERY else self.tap

    def tap_names(self, classifier: Classifier) -> Sequence[str]:
        """The candidates, and the tap if it is none of them."""
        names = candidate_taps(classifier.network)
        return names if self.tap in (_EVERY, *names) else (*names, self.tap)

    def variants(self, networks: Networks) -> list[Detector]:
        """One detector for each candidate of NormRatio."""
        if self.tap != _EVERY:
            return [self]
        spec = networks.base
        with torch.random.fork_rng(devices=[]):
            network = build_network(spec.model, spec.data.shape, spec.classes)
        return [replace(self, tap=tap) for tap in candidate_taps(network)]

    def fit_quantities(self, classifier: Classifier) -> Sequence[Quantity]:
        """The norms of all candidates."""
        return [*FeatureNorm().fit_quantities(classifier)]

    def fit(self, scorer: Scorer, random: np.random.RandomState) -> None:
        """Computes the NormRatio of every candidate; outside a run, ``every`` takes the one with the largest."""
        self._ratios = norm_ratios(scorer, self.jigsaw_seed)
        self._chosen = max(self._ratios, key=lambda tap: self._ratios[tap]) if self.tap == _EVERY else self.tap

    def findings(self) -> dict[str, Any]:
        """The block and its own NormRatio, or none for a tap that is no candidate."""
        return {"tap": self._chosen, "norm_ratio": {self._chosen: self._ratios.get(self._chosen)}}
