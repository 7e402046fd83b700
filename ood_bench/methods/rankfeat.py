"""RankFeat: the last map without its largest singular value."""

from dataclasses import dataclass

from ood_bench.methods.base import Array
from ood_bench.methods.map_shaping import MapShapingDetector
from ood_bench.papers.methods import Source
from ood_bench.scoring.maps import RankOneRemovedMean


@dataclass
class RankFeat(MapShapingDetector):
    """A score of the logits that pooling and last layer make of ``X - s u v'``, X the last map as a matrix.

    X has a row for each channel and a column for each position; s is its largest singular value, u and v are the
    singular vectors. Nothing is learned, and the decomposition is exact.

    Differences: this is the paper's RankFeat of block 4 alone. The authors' code and OpenOOD's average its logits with
    those that the network makes of block 3's map without its largest singular value. Where a norm and a ReLU stand
    between the last block and pooling (the authors' BiT network, pre-activation networks), the authors change the map
    before them, and we the one after them, which is averaged. The authors' power iteration (20 steps from a random
    start) is not offered. pytorch-ood 0.4 changes the map it is given; at the same map the scores agree.

    Attributes:
        tap: name of the tap of the map; empty for the one before the penultimate tap in the model's list.
        base: what scores the logits; the authors take the energy, at temperature 1.
    """

    name = "rankfeat"
    source = Source(
        title="RankFeat: Rank-1 Feature Removal for Out-of-distribution Detection",
        authors="Song, Sebe and Wang",
        venue="NeurIPS",
        year=2022,
        arxiv="2209.08590",
        code="github.com/KingJamesSong/RankFeat",
        licence="none stated",
    )

    def deviations(self) -> list[str]:
        """That one of two maps is changed."""
        return ["The map of the last block alone is changed; the paper averages its logits with those of block 3's."]

    def reduction(self) -> RankOneRemovedMean:
        """Means of the map that is left."""
        return RankOneRemovedMean()

    def shape(self, features: Array) -> Array:
        """Logits of the means."""
        return self.logits(features)
