"""Our default: exact metrics, and nothing is learned from any OOD image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector, Scorer, View
from ood_bench.protocols.base import Outcome, Protocol, outcome_of
from ood_bench.tuning.id_only import IdOnly
from ood_bench.tuning.search import Choice, refuse_id_only


@dataclass
class Plain(Protocol):
    """Every test row of both sets is scored once with fixed hyperparameters.

    Attributes:
        tune: ``published`` and ``none`` have nothing to tune with; ``id_only`` chooses on the first ``id_rows`` rows
            of the ID test set, which are then not scored.
        seed: seeds what detectors draw when they are fitted.
        id_rows: rows for ``tune=id_only``.
    """

    tune: Literal["published", "none", "id_only"] = "published"
    seed: int = 0
    id_rows: int = 1000

    def identity(self) -> dict[str, Any]:
        """All options that have an effect."""
        options = super().identity()
        if self.tune != "id_only":
            del options["id_rows"]
        return options

    def check(self, method: str, detector: Detector) -> None:
        """Refuses a detector that leaves a choice open."""
        if self.tune == "id_only":
            refuse_id_only(method, detector)
        elif (count := len(detector.grid())) != 1:
            raise ConfigError(
                f"method {method} has {count} candidate settings, and protocol={self.name} tunes nothing: "
                f"give one value for each of its hyperparameters, or use a protocol that tunes, such as protocol=fssd"
            )

    def check_sets(self, id_test: ImageSet, ood: ImageSet) -> None:
        """Any size will do, unless rows are held out."""
        if self.tune == "id_only":
            IdOnly(self.id_rows).check_sets(self.name, id_test)

    def scored(self, method: str, detector: Detector, id_test: ImageSet, ood: ImageSet) -> tuple[View, View]:
        """All rows that are not held out."""
        if self.tune == "id_only":
            return IdOnly(self.id_rows).scored(id_test, ood)
        return super().scored(method, detector, id_test, ood)

    def seen(self, method: str, detector: Detector, id_test: ImageSet, ood: ImageSet) -> Sequence[View]:
        """The rows that are held out, where they choose a setting."""
        return IdOnly(self.id_rows).seen(detector, id_test) if self.tune == "id_only" else ()

    def generator(self, ood: ImageSet) -> np.random.RandomState:
        """A fresh generator with the protocol's seed, whatever the OOD set."""
        return np.random.RandomState(self.seed)

    def run(self, method: str, detector: Detector, scorer: Scorer, id_test: ImageSet, ood: ImageSet) -> Outcome:
        """Scores all rows that are not held out, with the detector's only setting or the one chosen."""
        if self.tune == "id_only":
            rule = IdOnly(self.id_rows)
            choice, rows = rule.choose(detector, scorer, id_test), rule.scored_in_words
        else:
            (setting,) = detector.grid()
            choice, rows = Choice(setting), "all test rows of both sets"
        views = self.scored(method, detector, id_test, ood)
        return outcome_of(detector, scorer, choice, views, rows, paper=self.ranks_paper_scores)
