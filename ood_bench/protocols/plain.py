"""Our default: exact metrics, and nothing is learned from any OOD image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector, Scorer, View
from ood_bench.protocols.base import Outcome, SeededProtocol, outcome_of
from ood_bench.tuning.search import Choice, IdOnly, refuse_id_only


@dataclass
class Plain(SeededProtocol):
    """Every test row of both sets is scored once with fixed hyperparameters.

    Attributes:
        tune: ``published`` and ``none`` have nothing to tune with; ``id_only`` chooses on the first ``id_rows`` rows
            of the ID test set, which are then not scored.
        id_rows: rows for ``tune=id_only``.
    """

    tune: Literal["published", "none", "id_only"] = "published"
    id_rows: int = 1000

    @property
    def rule(self) -> IdOnly | None:
        """The choice among settings, if there is one."""
        return IdOnly(self.id_rows) if self.tune == "id_only" else None

    def identity(self) -> dict[str, Any]:
        """All options that have an effect."""
        options = super().identity()
        if self.rule is None:
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
        if self.rule is not None:
            self.rule.check_sets(self.name, id_test)

    def scored(self, method: str, detector: Detector, id_test: ImageSet, ood: ImageSet) -> tuple[View, View]:
        """All rows that are not held out."""
        return (View(id_test), View(ood)) if self.rule is None else self.rule.scored(id_test, ood)

    def seen(self, method: str, detector: Detector, id_test: ImageSet, ood: ImageSet) -> Sequence[View]:
        """The rows that are held out, where they choose a setting."""
        return () if self.rule is None else self.rule.seen(detector, id_test)

    def run(self, method: str, detector: Detector, scorer: Scorer, id_test: ImageSet, ood: ImageSet) -> Outcome:
        """Scores all rows that are not held out, with the detector's only setting or the one chosen."""
        if self.rule is None:
            (setting,) = detector.grid()
            choice, rows = Choice(setting), "all test rows of both sets"
        else:
            choice, rows = self.rule.choose(detector, scorer, id_test), self.rule.scored_in_words
        views = self.scored(method, detector, id_test, ood)
        return outcome_of(detector, scorer, choice, views, rows, paper=self.ranks_paper_scores)
