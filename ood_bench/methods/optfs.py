"""OptFS: features are weighted by how much values of their size add to the predicted logit of ID images."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array
from ood_bench.methods.ranges import Count, Positive
from ood_bench.methods.shaping import ShapingDetector, logit_score
from ood_bench.papers.methods import Source

_OUTSIDE = 0.001  # share of the training images' values below the first bin, and above the last


@dataclass
class OptFs(ShapingDetector):
    """``w_c . f'`` without bias, c the class that the network predicts: f' is ``theta(f) f`` for each pooled feature f.

    theta is constant in each of ``bins`` bins of equal width between the 0.1 % and the 99.9 % quantile of the ID
    training images' features, all D values of all images together, and 0 outside. In a bin it is proportional to what
    values there add, on average over these images, to the logit of the class c predicted for them: the sum of their
    ``w_cd f_d``. The vector of all bins is scaled to length ``norm``.

    ``base`` is ``vanilla`` for this score, the authors' "V". Any other is a score of the logits ``W f' + b``: the
    authors' "E" is ``energy``, where ``norm`` acts as the inverse of a temperature.

    Differences: the appendix's iteration, in which predictions follow theta, is not here; the authors' code has it
    switched off. OpenOOD and pytorch-ood 0.4 do not have the method.

    Attributes:
        bins: the authors take 100.
        norm: the authors take 1000. It does not change how ``vanilla`` ranks images.
    """

    base: str | dict[str, dict[str, Any]] = "vanilla"
    bins: Count = 100
    norm: Positive = 1000.0

    source = Source(
        title="Towards Optimal Feature-Shaping Methods for Out-of-Distribution Detection",
        authors="Zhao et al.",
        venue="ICLR",
        year=2024,
        arxiv="2402.00865",
        code="github.com/Qinyu-Allen-Zhao/OptFSOOD",
        licence="none stated",
    )

    def __post_init__(self) -> None:
        # Vanilla: the only column that shape() gives.
        self._score = logit_score("maxlogit" if self.base == "vanilla" else self.base)

    @property
    def variant(self) -> str:
        """The base, unless it is the authors' own."""
        return "" if self.base == "vanilla" else super().variant or "with energy"

    def prepare(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """Bins, and theta ``[bins + 1]``, whose last entry is 0 for values outside; labels are not used.

        Raises:
            ConfigError: if the quantiles are equal, or no bin adds anything.
        """
        self._left, self._right = np.quantile(features, [_OUTSIDE, 1 - _OUTSIDE])
        if not self._left < self._right:
            raise ConfigError(
                f"method optfs: 99.8 % of the training images' features are {self._left:.3g}: nothing to divide",
                "leave the method out for this network",
            )
        theta = np.zeros(self.bins + 1)
        step = max(1, self.values_at_once // features.shape[1])
        for start in range(0, len(features), step):
            part = features[start : start + step]
            added = self.weight[self.logits(part).argmax(axis=1)] * part
            theta += np.bincount(self._bin(part).ravel(), added.ravel(), minlength=self.bins + 1)
        theta[-1] = 0
        if not (length := np.linalg.norm(theta)) > 0:
            raise ConfigError(
                "method optfs: features add nothing to the predicted logits", "leave the method out for this network"
            )
        self._theta = self.norm * theta / length

    def shape(self, features: Array) -> Array:
        """Logits of the weighted features; for ``vanilla`` one column, the predicted class's without bias."""
        weighted = features * self._theta[self._bin(features)]
        if self.base != "vanilla":
            return self.logits(weighted)
        rows = self.weight[self.logits(features).argmax(axis=1)]
        return np.asarray((rows * weighted).sum(axis=1, keepdims=True))

    def _bin(self, features: Array) -> npt.NDArray[np.int64]:
        """Bin of each feature; ``bins`` outside."""
        place = (features - self._left) * (self.bins / (self._right - self._left))
        inside = (features >= self._left) & (features < self._right)
        return np.where(inside, np.minimum(place, self.bins - 1), self.bins).astype(np.int64)
