"""ASH on the last map: before it is averaged, small values are removed and the others raised."""

from dataclasses import dataclass
from typing import Literal

from ood_bench.methods.ash import Ash
from ood_bench.methods.map_shaping import TopShareMapDetector
from ood_bench.scoring.maps import ShapedMean


@dataclass
class AshMap(TopShareMapDetector):
    """A score of the logits of the last map, of whose n values (all channels and positions) the k largest are kept.

    ``k = n - round(n percentile / 100)``; the other values are 0. With s1 the sum of all values and s2 that of the k
    largest, these become

    - ``kind="p"`` (ASH-P): nothing else than they are;
    - ``kind="b"`` (ASH-B): all ``s1 / k``;
    - ``kind="s"`` (ASH-S): ``v exp(s1 / s2)``.

    The map is averaged after that. Of equal values the first in CHW order count as the largest. Nothing is learned.

    Differences: the authors' functions take maps, but their code gives them one for VGG-16 only (B at 99), where the
    map goes on to hidden layers; in all their other networks it is pooled before, as in ``ash``. Here the last layer
    must get the mean over positions; other networks are refused. pytorch-ood 0.4 does this to the map it is given (S at
    65 by default). Which of equal values are kept is not defined there, and it matters to B where less than k values
    are above 0. A map of zeros stays one, where the others' ASH-S gives NaN. Values below 0 are refused for B and S,
    whose sums they would cancel, and so are percentiles that leave less than one value of 600 for S.

    Attributes:
        kind: of the three above; the authors' config files take S, but for VGG-16.
        percentile: share of the values that are removed, in percent. The grid is pytorch-ood's, and OpenOOD's for
            pooled features.
        tap: name of the tap of the map; empty for the one before the penultimate tap in the model's list.
    """

    kind: Literal["p", "b", "s"] = "s"

    name = "ash_map"
    source = Ash.source
    published_grid = Ash.published_grid

    @property
    def raised(self) -> bool:
        """Whether the kept values are multiplied by ``exp(s1 / s2)``."""
        return self.kind == "s"

    @property
    def signed(self) -> bool:
        """Whether no sum is taken that values below 0 would cancel."""
        return self.kind == "p"

    def reduction(self) -> ShapedMean:
        """Means of the k largest values."""
        return ShapedMean("flat" if self.kind == "b" else "top", self.percentile)
