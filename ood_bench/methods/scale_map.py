"""SCALE on the last map: it is multiplied by a factor that grows with the share of small values."""

from dataclasses import dataclass

from ood_bench.methods.map_shaping import TopShareMapDetector
from ood_bench.methods.ranges import Percentile
from ood_bench.methods.scale import Scale
from ood_bench.scoring.maps import ShapedMean


@dataclass
class ScaleMap(TopShareMapDetector):
    """A score of the logits of ``f exp(s1 / s2)``: f the pooled features, s1 and s2 sums over the map before pooling.

    s1 is the sum of all n values of the map, over channels and positions; s2 that of the k largest, ``k = n - round(n
    percentile / 100)``. Nothing is learned.

    Differences: the authors' code and OpenOOD take both sums over pooled features, as ``scale`` does, though their
    function takes maps. pytorch-ood 0.4 does this to the map it is given (65 by default). A map of zeros stays one,
    where the others give NaN. Values below 0 are refused, since s2 may be near 0 for them, and so are percentiles that
    leave less than one value of 600.

    Attributes:
        percentile: share of the values that s2 leaves out, in percent. The grid is pytorch-ood's, and OpenOOD's for
            pooled features.
        tap: name of the tap of the map; empty for the one before the penultimate tap in the model's list.
    """

    percentile: Percentile = 85.0

    name = "scale_map"
    source = Scale.source
    published_grid = Scale.published_grid

    def reduction(self) -> ShapedMean:
        """Means of the map as it is, with the sums' ratio."""
        return ShapedMean("whole", self.percentile)
