"""LTS: logits are multiplied by a factor that grows with the share of small features."""

from dataclasses import dataclass

import numpy as np

from ood_bench.methods.base import Array
from ood_bench.methods.ranges import Percentile
from ood_bench.methods.top_share import TopShareDetector
from ood_bench.papers.methods import Source


@dataclass
class Lts(TopShareDetector):
    """A score of ``z (s1 / s2)^2``: z the logits, s1 the sum of ``max(f, 0)``, s2 that of its k largest values.

    f are the pooled features, and ``k = D - round(D percentile / 100)`` of D. Features below 0 count as 0 in both sums,
    so that networks without a last ReLU will do; z stays what the network gives. Nothing is learned.

    Differences: the ReLU is in the authors' code and not in their formula. An image without a feature above 0 keeps its
    logits; theirs become NaN, as in pytorch-ood 0.4, which takes ``p = 1 - percentile / 100`` and otherwise gives the
    same. OpenOOD does not have it.

    Attributes:
        percentile: share of the features that s2 leaves out, in percent; the authors take 95 for every network.
    """

    percentile: Percentile = 95.0

    name = "lts"
    source = Source(
        title="Logit Scaling for Out-of-Distribution Detection",
        authors="Djurisic, Liu and Nikolic",
        venue="Machine Vision and Applications",
        year=2025,
        arxiv="2409.01175",
        code="github.com/andrijazz/lts",
        licence="MIT",
    )

    def shape(self, features: Array) -> Array:
        """Scaled logits."""
        return self.logits(features) * self.mass_ratio(np.maximum(features, 0))[:, None] ** 2
