"""The protocol of generalized ODIN's paper, as far as it is known."""

from dataclasses import dataclass
from typing import Literal

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector
from ood_bench.protocols.plain import Plain
from ood_bench.tuning.search import IdOnly, refuse_id_only


@dataclass
class GodinPaperProtocol(Plain):
    """The first ID test images choose among settings, by their mean score; the others and all OOD images are scored.

    Source: arXiv 2002.11297, through its public re-implementations.

    Attributes:
        tune: ``published`` and ``id_only`` choose as described; ``none`` refuses detectors with several candidates.
        id_rows: rows of the ID test set to choose on; they are not scored, whatever the method.
        halve: whether half of the chosen epsilon is used.
        objective_batch: 0 for the plain mean over those rows; otherwise see
            :func:`~ood_bench.tuning.search.id_mean_curve`.
    """

    tune: Literal["published", "none", "id_only"] = "published"
    halve: bool = False
    objective_batch: int = 0

    ranks_paper_scores = True

    @property
    def rule(self) -> IdOnly:
        """The choice among settings."""
        return IdOnly(self.id_rows, halve=self.halve, batch=self.objective_batch)

    def check(self, method: str, detector: Detector) -> None:
        """Refuses several candidates that the mean score cannot choose among, or any under ``tune=none``."""
        if self.tune == "none" and (count := len(detector.grid())) != 1:
            raise ConfigError(f"method {method} has {count} candidate settings: with tune=none give it one of each")
        refuse_id_only(method, detector)

    def check_sets(self, id_test: ImageSet, ood: ImageSet) -> None:
        """Refuses an ID test set of which nothing would be left to score."""
        if self.objective_batch < 0:
            raise ConfigError(f"protocol {self.name}: objective_batch is {self.objective_batch}, it must be at least 0")
        super().check_sets(id_test, ood)
