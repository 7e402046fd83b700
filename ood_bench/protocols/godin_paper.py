"""The protocol of generalized ODIN's paper, as far as it is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector, Scorer, View
from ood_bench.protocols.base import Outcome, Protocol, outcome_of
from ood_bench.tuning.id_only import IdOnly
from ood_bench.tuning.search import refuse_id_only


@dataclass
class GodinPaperProtocol(Protocol):
    """The first ID test images choose among settings, by their mean score; the others and all OOD images are scored.

    Source: arXiv 2002.11297, through its public re-implementations.

    Attributes:
        tune: ``published`` and ``id_only`` choose as described; ``none`` refuses detectors with several candidates.
        id_rows: rows of the ID test set to choose on; they are not scored, whatever the method.
        halve: whether half of the chosen epsilon is used.
        objective_batch: 0 for the plain mean over those rows; otherwise see
            :func:`~ood_bench.tuning.search.id_mean_curve`.
        seed: seeds what detectors draw when they are fitted.
    """

    tune: Literal["published", "id_only", "none"] = "published"
    id_rows: int = 1000
    halve: bool = False
    objective_batch: int = 0
    seed: int = 0

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
        self.rule.check_sets(self.name, id_test)

    def scored(self, method: str, detector: Detector, id_test: ImageSet, ood: ImageSet) -> tuple[View, View]:
        """The other ID rows, and all OOD rows."""
        return self.rule.scored(id_test, ood)

    def seen(self, method: str, detector: Detector, id_test: ImageSet, ood: ImageSet) -> Sequence[View]:
        """The first ID rows, where they choose a setting."""
        return self.rule.seen(detector, id_test)

    def generator(self, ood: ImageSet) -> np.random.RandomState:
        """A fresh generator with the protocol's seed, whatever the OOD set."""
        return np.random.RandomState(self.seed)

    def run(self, method: str, detector: Detector, scorer: Scorer, id_test: ImageSet, ood: ImageSet) -> Outcome:
        """Chooses a setting, then scores the rows that it was not chosen on."""
        choice = self.rule.choose(detector, scorer, id_test)
        views = self.scored(method, detector, id_test, ood)
        words = self.rule.scored_in_words
        return outcome_of(detector, scorer, choice, views, words, paper=self.ranks_paper_scores)
