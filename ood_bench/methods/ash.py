"""ASH: small features of an image are removed, and the others raised."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ood_bench.methods.base import Array
from ood_bench.methods.ranges import Percentile
from ood_bench.methods.shaping import refuse_negative
from ood_bench.methods.top_share import TopShareDetector
from ood_bench.papers.methods import Source


@dataclass
class Ash(TopShareDetector):
    """A score of the logits of the k largest pooled features, ``k = D - round(D percentile / 100)`` of D; others are 0.

    With s1 the sum of all features and s2 that of the k largest, these become

    - ``kind="p"`` (ASH-P): nothing else than they are;
    - ``kind="b"`` (ASH-B): all ``s1 / k``;
    - ``kind="s"`` (ASH-S): ``f exp(s1 / s2)``.

    Of equal features the first count as the largest. Nothing is learned.

    Differences: the authors' code is written for features ``[n, D, 1, 1]``: pooled ones for ResNet, DenseNet and
    MobileNet, a map for VGG only. OpenOOD (variant B) and their later code for LTS take pooled features too.
    pytorch-ood 0.4 shapes what it is given, with S and 65 by default; given a map, it keeps the k largest of all its
    positions, which is another method. Which of equal features are kept is not defined there. An image whose features
    are all 0 keeps them, where the others' ASH-S gives NaN. Features below 0 are refused for B and S, whose sums they
    would cancel, and so are percentiles that leave less than one feature of 600 for S: factors reach e^(D / k).

    Attributes:
        kind: of the three above; the authors' config files take S.
        percentile: share of the features that are removed, in percent. The authors take 90 for S on ImageNet and 95 on
            CIFAR; for B 65 on ImageNet. OpenOOD searches from 65 to 95.
    """

    kind: Literal["p", "b", "s"] = "s"
    percentile: Percentile = 90.0

    name = "ash"
    source = Source(
        title="Extremely Simple Activation Shaping for Out-of-Distribution Detection",
        authors="Djurisic et al.",
        venue="ICLR",
        year=2023,
        arxiv="2209.09858",
        code="github.com/andrijazz/ash",
        licence="MIT",
    )
    published_grid: ClassVar = {"percentile": [65.0, 70.0, 75.0, 80.0, 85.0, 90.0, 95.0]}

    def shape(self, features: Array) -> Array:
        """Logits of the shaped features."""
        k = self.top(features.shape[1])
        kept = _largest(features, k)
        if self.kind == "p":
            return self.logits(features * kept)
        if self.kind == "s":
            return self.logits(features * kept * self.boost(features))
        refuse_negative(features, self.name)
        return self.logits(kept * features.sum(axis=1, keepdims=True) / k)


def _largest(features: Array, k: int) -> Array:
    """Which of the features ``[n, D]`` are the k largest of their row, bool; of equal ones the first."""
    edge = np.partition(features, -k, axis=1)[:, -k, None]
    above, equal = features > edge, features == edge
    missing = k - above.sum(axis=1, keepdims=True)
    return np.asarray(above | (equal & (equal.cumsum(axis=1) <= missing)))
