"""VRA: small features are removed, and large ones cut off."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array
from ood_bench.methods.grid import product
from ood_bench.methods.shaping import ShapingDetector
from ood_bench.papers.methods import Source

_UNITS = 64  # percentiles of 50,000 images are taken for so many units at a time: 25 MB
_OPENOOD_GRID = {"low": [1.0, 5.0, 10.0, 15.0], "high": [85.0, 90.0, 95.0, 99.0]}


@dataclass
class Vra(ShapingDetector):
    """A score of the logits of pooled features f, of which values below l become 0, and values above h become h.

    l and h are two percentiles of each unit's values on the ID training images. VRA+ adds ``shift`` to what lies
    between them, ends included; values above h still become h. VRA++ adds a second score, which is not here.

    Differences: for ImageNet the authors' code takes two numbers for all units (0.5 and 1 for ResNet-50). OpenOOD has
    another method by this name: f is cut off at l as at h, and both are percentiles of all units' values together, on
    1,000 ID validation images (``definition="openood"``, with its grid, here on training images). pytorch-ood 0.4 cuts
    off at l too, by each unit's percentiles (``definition="pytorch_ood"``; of a map, by those of each place), and takes
    1 and 99.

    Attributes:
        low: percentile l. The authors take 60 for CIFAR, where 0 leaves small values as they are; OpenOOD takes 10.
        high: percentile h. The authors take 90 for CIFAR-10, and 95 for CIFAR-100 and VRA+, where 100 leaves large
            values as they are; OpenOOD takes 90.
        shift: lambda of VRA+, in units of the features; the authors take 0.6 for CIFAR.
        definition: ``paper``, ``openood`` or ``pytorch_ood``.
    """

    low: float = 60.0
    high: float = 95.0
    shift: float = 0.0
    definition: Literal["paper", "openood", "pytorch_ood"] = "paper"

    source = Source(
        title="VRA: Variational Rectified Activation for Out-of-distribution Detection",
        authors="Xu et al.",
        venue="NeurIPS",
        year=2023,
        arxiv="2302.11716",
        code="github.com/zeroQiaoba/VRA",
        licence="none stated",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.low < self.high <= 100:
            raise ConfigError(
                f"method vra: low is {self.low} and high {self.high}",
                "set method.vra.low to at least 0, and method.vra.high above it and to at most 100",
            )
        if self.definition != "paper" and self.shift:
            raise ConfigError(
                f"method vra: shift is {self.shift}, which definition {self.definition} does not have",
                "set method.vra.shift=0 or method.vra.definition=paper",
            )

    def candidates(self) -> list[dict[str, Any]]:
        """OpenOOD's grid, which pytorch-ood has too, for their definitions; the authors publish none."""
        return [{}] if self.definition == "paper" else product(**_OPENOOD_GRID)

    def deviations(self) -> list[str]:
        """Where OpenOOD's percentiles come from."""
        if self.definition != "openood":
            return []
        return ["Percentiles are those of ID training images; OpenOOD takes 1,000 ID validation images."]

    def prepare(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """The two limits, numbers or ``[D]``; labels are not used."""
        if self.definition == "openood":
            self._low, self._high = np.percentile(features, [self.low, self.high])
            return
        units = np.array_split(features.T, max(1, features.shape[1] // _UNITS))
        found = np.concatenate([np.percentile(part, [self.low, self.high], axis=1) for part in units], axis=1)
        free = self.definition == "paper"  # at 0 and 100
        self._low = np.full_like(found[0], -np.inf) if free and self.low == 0 else found[0]
        self._high = np.full_like(found[1], np.inf) if free and self.high == 100 else found[1]

    def shape(self, features: Array) -> Array:
        """Logits of the changed features."""
        if self.definition != "paper":
            return self.logits(features.clip(self._low, self._high))
        raised = np.where(features > self._high, self._high, features + self.shift)
        return self.logits(raised * (features >= self._low))
