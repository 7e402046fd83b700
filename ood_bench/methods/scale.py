"""SCALE: features are multiplied by a factor that grows with the share of small ones."""

from dataclasses import dataclass
from typing import ClassVar

from ood_bench.methods.base import Array
from ood_bench.methods.ranges import Percentile
from ood_bench.methods.top_share import TopShareDetector
from ood_bench.papers.methods import Source


@dataclass
class Scale(TopShareDetector):
    """A score of the logits of ``f exp(s1 / s2)``: s1 the sum of the pooled features f, s2 that of the k largest.

    ``k = D - round(D percentile / 100)`` of D. This is ASH-S without pruning. Nothing is learned.

    Differences: none from the authors' code and OpenOOD's, which took it over: both act on pooled features. pytorch-ood
    0.4 takes percentile 65 by default, and the map if it is given one. An image whose features are all 0 keeps them,
    where the others give NaN. Features below 0 are refused, since s2 may be near 0 for them, and so are percentiles
    that leave less than one feature of 600: factors reach e^(D / k).

    Attributes:
        percentile: share of the features that s2 leaves out, in percent; the authors take 85. Their code searches from
            50 to 95, OpenOOD from 65.
    """

    percentile: Percentile = 85.0

    name = "scale"
    source = Source(
        title="Scaling for Training Time and Post-hoc Out-of-distribution Detection Enhancement",
        authors="Xu et al.",
        venue="ICLR",
        year=2024,
        arxiv="2310.00227",
        code="github.com/kai422/SCALE",
        licence="MIT",
    )
    published_grid: ClassVar = {"percentile": [65.0, 70.0, 75.0, 80.0, 85.0, 90.0, 95.0]}

    def shape(self, features: Array) -> Array:
        """Logits of the scaled features."""
        return self.logits(features * self.boost(features))
