"""NECO: largest logit times the share of the features' length within the principal space."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array
from ood_bench.methods.posthoc import HeadDetector
from ood_bench.methods.ranges import Share, Whole
from ood_bench.papers.methods import Source


@dataclass
class Neco(HeadDetector):
    """``max_k z_k ||V' (x - m)|| / ||x||``: x the standardised features, V their principal directions, m their mean.

    Features are standardised by mean and standard deviation of each over the ID training images, so that m is 0, and
    those that never vary are centred only. V are eigenvectors of the covariance of x over the same images: as many as
    hold a share of the variance. Features collapse into a space of about as many dimensions as there are classes, and
    those of OOD images lie outside of it (equation 6 of the paper).

    Differences: the authors give ``dim`` for each network, leave the logit out for ResNets, and standardise the
    numerator only for DeiT and Swin. Their comment advises against standardising where classes have collapsed, as for a
    ViT on CIFAR-10. The share of 0.9 comes from the code of Mahalanobis++ (github.com/mueller-mp/maha-norm). Its port
    to OpenOOD standardises training images only, and scores by ``||V' f|| / ||f||`` (``definition=maha_norm``). OpenOOD
    and pytorch-ood 0.4 have no such detector. An x of 0, for which the ratio is NaN there, has ratio 0 here.

    Attributes:
        variance: share of the variance that V holds at least, above 0 and at most 1.
        dim: how many directions V has; 0 for the fewest that hold ``variance``.
        standardise: False for x = f.
        logit: False for the ratio alone.
        definition: ``paper``, or ``maha_norm``.
    """

    variance: Share = 0.9
    dim: Whole = 0
    standardise: bool = True
    logit: bool = True
    definition: Literal["paper", "maha_norm"] = "paper"

    younger: ClassVar = frozenset({"definition"})
    source = Source(
        title="NECO: NEural Collapse Based Out-of-distribution detection",
        authors="Ben Ammar et al.",
        venue="ICLR",
        year=2024,
        arxiv="2310.06823",
        code="gitlab.com/drti/neco",
        licence="not checked",
    )

    def __post_init__(self) -> None:
        if self.definition == "maha_norm" and not self.standardise:
            raise ConfigError(
                "method neco: definition is maha_norm, which differs by how it standardises, and standardise is False",
                "set method.neco.standardise=True, or method.neco.definition=paper",
            )

    def learn(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """Mean, scale and principal directions; labels are not used.

        Raises:
            ConfigError: if there are fewer features than ``dim``, or none of them varies.
        """
        count, width = features.shape
        if self.dim > width:
            raise ConfigError(
                f"method neco: dim is {self.dim}, and the features have {width} values",
                f"set method.neco.dim to at most {width}, or to 0 for a dim by the variance",
            )
        mean, deviation = features.mean(axis=0), features.std(axis=0)
        varies = deviation > count * np.finfo(np.float64).eps * np.abs(mean)
        if not varies.any():
            raise ConfigError(
                "method neco: no feature varies over the ID training images: there is no principal direction",
                "use more training images, or leave the method out",
            )
        self._shift = mean if self.standardise else np.zeros(width)
        self._scale = np.where(varies, deviation, 1.0) if self.standardise else np.ones(width)
        centred = (features - mean) / self._scale
        variances, axes = np.linalg.eigh(centred.T @ centred / count)  # smallest first
        held = np.cumsum(variances[::-1]) / variances.sum()
        dim = self.dim or min(int(np.searchsorted(held, self.variance)) + 1, width)
        self._axes = axes[:, width - dim :]
        self._centre = ((mean - self._shift) / self._scale) @ self._axes

    def score(self, features: Array) -> Array:
        """Ratio of lengths, times the largest logit."""
        rows = features if self.definition == "maha_norm" else (features - self._shift) / self._scale
        inside, whole = np.linalg.norm(rows @ self._axes - self._centre, axis=1), np.linalg.norm(rows, axis=1)
        ratio = np.divide(inside, whole, out=np.zeros_like(whole), where=whole > 0)
        return np.asarray(ratio * self.logits(features).max(axis=1)) if self.logit else ratio
