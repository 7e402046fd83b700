"""FeatureNorm: the norm of one block's map, and NormRatio, which chooses the block without OOD images."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import nn

from ood_bench.data.jigsaw import jigsaw
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Detector, Quantity, Scorer, Setting, View, at_every
from ood_bench.models.classifier import Classifier
from ood_bench.papers.methods import Source
from ood_bench.scoring.quantities import RectifiedNorm

_log = logging.getLogger(__name__)
_AUTO = "norm_ratio"


def candidate_taps(network: nn.Module) -> list[str]:
    """The taps among which NormRatio chooses: the network's ``block_taps``, or all of its taps."""
    return list(getattr(network, "block_taps", None) or network.taps)  # type: ignore[arg-type]


@dataclass
class FeatureNorm(Detector):
    """Mean over channels of the norm of the rectified map of one block; large for ID.

    Attributes:
        tap: name of a tap, or ``norm_ratio`` to take the one with the largest NormRatio: the mean over the ID training
            images of the image's norm over its jigsaw's norm. Pairs whose jigsaw has norm 0 are left out and reported.
        jigsaw_seed: seeds the jigsaws; the released code uses no seed.
    """

    tap: str = _AUTO
    jigsaw_seed: int = 0

    source = Source(
        title="Block Selection Method for Using Feature Norm in Out-of-Distribution Detection",
        authors="Yu et al.",
        venue="CVPR",
        year=2023,
        arxiv="2212.02295",
        code="github.com/gist-ailab/block-selection-for-OOD-detection",
        licence="Apache-2.0; its README says for academic use only",
    )
    needs: ClassVar[tuple[str, ...]] = ("feature maps", "ID training images")

    def __post_init__(self) -> None:
        self._chosen = self.tap
        self._ratios: dict[str, float] = {}

    @property
    def variant(self) -> str:
        """The block, where it is not chosen by NormRatio."""
        return "" if self.tap == _AUTO else f"block {self.tap}"

    def tap_names(self, classifier: Classifier) -> Sequence[str]:
        """The tap, or the candidates if NormRatio chooses it."""
        return candidate_taps(classifier.network) if self.tap == _AUTO else (self.tap,)

    def fit_quantities(self, classifier: Classifier) -> Sequence[Quantity]:
        """The norms of all candidates, if one is to be chosen."""
        return _norms(classifier) if self.tap == _AUTO else ()

    def fit(self, scorer: Scorer, random: np.random.RandomState) -> None:
        """Chooses the block by NormRatio on the ID training images."""
        if self.tap != _AUTO:
            return
        self._ratios = norm_ratios(scorer, self.jigsaw_seed)
        self._chosen = max(self._ratios, key=lambda tap: self._ratios[tap])

    def findings(self) -> dict[str, Any]:
        """The chosen block, and the NormRatio of every candidate."""
        return {"tap": self._chosen, **({"norm_ratio": self._ratios} if self._ratios else {})}

    def quantities(self, classifier: Classifier) -> Sequence[Quantity]:
        """The norm of the block."""
        return (Quantity(self._chosen, RectifiedNorm()),)

    def raw_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """The norm, ``[len(settings), n, 1]``."""
        (quantity,) = self.quantities(scorer.classifier)
        return at_every(settings, scorer.rows(view, quantity))


def _norms(classifier: Classifier) -> list[Quantity]:
    return [Quantity(tap, RectifiedNorm()) for tap in candidate_taps(classifier.network)]


def norm_ratios(scorer: Scorer, jigsaw_seed: int) -> dict[str, float]:
    """NormRatio of every candidate by name, computed once for a classifier, its training images and a seed.

    Raises:
        ConfigError: if a candidate is 0 on every jigsaw.
    """
    quantities = _norms(scorer.classifier)

    def compute() -> Array:
        shuffled = View(jigsaw(scorer.train, jigsaw_seed))
        whole, pieces = scorer.bank(View(scorer.train), quantities), scorer.bank(shuffled, quantities)
        return np.array([_norm_ratio(one.tap, whole[one][:, 0], pieces[one][:, 0]) for one in quantities])

    identity = {
        "method": "norm_ratio-1",
        "network": scorer.classifier.key,
        "train": scorer.train.fingerprint,
        "jigsaw_seed": jigsaw_seed,
        "taps": [one.tap for one in quantities],
        "device": scorer.classifier.device.type,
    }
    ratios = scorer.engine.cached("norm_ratio", identity, compute)
    return {one.tap: float(ratio) for one, ratio in zip(quantities, ratios, strict=True)}


def _norm_ratio(tap: str, whole: np.ndarray, pieces: np.ndarray) -> float:
    """Mean of the ratios of norms ``[N]``, over the pairs whose denominator is not 0."""
    usable = pieces > 0
    if not usable.any():
        raise ConfigError(f"method feature_norm: tap {tap} is 0 on every jigsaw: choose a tap by name")
    if (skipped := int(np.count_nonzero(~usable))) > 0:
        _log.warning("NormRatio of %s: %d pairs whose jigsaw has norm 0 are left out", tap, skipped)
    return float(np.mean(whole[usable].astype(np.float64) / pieces[usable].astype(np.float64)))
