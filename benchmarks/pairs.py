"""Methods that both libraries have, with the same settings, and what is known to differ in their definitions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.theirs import Theirs
from ood_bench.methods.base import Array, Detector
from ood_bench.methods.energy import Energy
from ood_bench.methods.mahalanobis import Mahalanobis
from ood_bench.methods.msp import Msp
from ood_bench.methods.odin import Odin
from ood_bench.models.classifier import Classifier

TEMPERATURE, EPSILON, STEP = 1000.0, 0.0014, 0.002

_FLOAT32 = "float32 scores (ours float64)"
_COVARIANCE = "covariance is a sum, not divided by N (scores times N here), plus 1e-6, inverted in float32"
_SIGN = "no step where the gradient is exactly 0 (ours +1)"


def _same(scores: Array) -> Array:
    return scores


@dataclass(frozen=True)
class Pair:
    """One method in both libraries.

    Attributes:
        name: what the tables call it.
        ours: our detector.
        kind: name of pytorch-ood's class.
        source: what it is given of the network: ``network``, ``encoder`` or ``stages``.
        options: its further options.
        gradient: whether it needs gradients.
        scaled: whether its scores have to be multiplied by the number of training images.
        scale: puts our scores on the scale of pytorch-ood's.
        tolerance: see :class:`~benchmarks.agreement.Agreement`.
        why: likewise.
        limit: how many bare passes ours may take, or none.
    """

    name: str
    ours: Detector
    kind: str
    source: str = "network"
    options: Mapping[str, Any] = field(default_factory=dict)
    gradient: bool = False
    scaled: bool = False
    scale: Callable[[Array], Array] = _same
    tolerance: float | None = None
    why: str = ""
    limit: float | None = None

    def theirs(self, library: Theirs) -> Any:
        """pytorch-ood's detector, fitted."""
        return library.fit(self.kind, getattr(library, self.source), **self.options)


def pairs(classifier: Classifier) -> list[Pair]:
    """All pairs for a network of :mod:`ood_bench.models.resnet`."""
    stages: Sequence[str] = list(classifier.network.stage_taps)  # type: ignore[arg-type]
    std = list(classifier.std)
    return [
        Pair("msp", Msp(), "MaxSoftmax", scale=np.exp, tolerance=1e-5, why=_FLOAT32),
        Pair("energy", Energy(), "EnergyBased", tolerance=1e-5, why=_FLOAT32),
        Pair("mahalanobis", Mahalanobis(), "Mahalanobis", "encoder", scaled=True, why=_COVARIANCE),
        Pair(
            f"mahalanobis, {len(stages)} stages",
            Mahalanobis(taps=list(stages)),
            "MultiMahalanobis",
            "stages",
            scaled=True,
            why=_COVARIANCE,
        ),
        Pair(
            "odin, one setting",
            Odin([EPSILON], [TEMPERATURE]),
            "ODIN",
            options={"eps": EPSILON, "temperature": TEMPERATURE, "norm_std": std},
            gradient=True,
            scale=np.exp,
            tolerance=1e-3,
            why=f"{_SIGN}; {_FLOAT32}",
            limit=2.9,
        ),
        Pair(
            "mahalanobis with step",
            Mahalanobis(magnitudes=[STEP]),
            "MahalanobisODIN",
            "encoder",
            options={"eps": STEP, "norm_std": std},
            gradient=True,
            scaled=True,
            why=f"{_COVARIANCE}; {_SIGN}",
        ),
    ]
