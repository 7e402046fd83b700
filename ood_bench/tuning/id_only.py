"""Choice of a setting on in-distribution validation rows alone, and scores of the rows that are left."""

from dataclasses import dataclass, replace

import numpy as np

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector, Scorer, View
from ood_bench.protocols.base import Outcome
from ood_bench.tuning.search import ID_MEAN, Choice, id_mean_curve


@dataclass(frozen=True)
class IdOnly:
    """Takes the setting with the highest mean score over the first rows of the ID test set; the first of equals.

    Attributes:
        rows: number of those rows; they are not scored, whether or not there is a choice.
        halve: whether half of the chosen magnitude is used, as two public codes do.
        batch: see :func:`~ood_bench.tuning.search.id_mean_curve`.
    """

    rows: int = 1000
    halve: bool = False
    batch: int = 0

    def scored(self, id_test: ImageSet, ood: ImageSet) -> tuple[View, View]:
        """The other ID rows, and all OOD rows."""
        return View(id_test, np.arange(self.rows, len(id_test), dtype=np.int64)), View(ood)

    def seen(self, detector: Detector, id_test: ImageSet) -> list[View]:
        """The first rows, where there is a choice."""
        if len(detector.grid()) == 1:
            return []
        return [View(id_test, np.arange(self.rows, dtype=np.int64))]

    def choose(self, detector: Detector, scorer: Scorer, id_test: ImageSet) -> Choice:
        """The setting to score with, and what the record says of the choice."""
        settings = detector.grid()
        if len(settings) == 1:
            return Choice(settings[0])
        (view,) = self.seen(detector, id_test)
        curve = id_mean_curve(detector, scorer, view, settings, self.batch)
        words = f"the first {self.rows} rows of the ID test set; no OOD image"
        rule = replace(ID_MEAN, objective=ID_MEAN.objective + self._afterwards)
        choice = rule.choose(settings, curve, {id_test.name: self.rows}, words)
        if not self.halve:
            return choice
        return replace(choice, setting={**choice.setting, "epsilon": choice.setting["epsilon"] / 2})

    @property
    def _afterwards(self) -> str:
        return "; half of the chosen magnitude is used" if self.halve else ""

    def run(self, detector: Detector, scorer: Scorer, id_test: ImageSet, ood: ImageSet) -> Outcome:
        """Chooses a setting and scores the other ID test rows and all OOD rows with it."""
        choice = self.choose(detector, scorer, id_test)
        detector.calibrate(scorer, choice.setting)
        views = self.scored(id_test, ood)
        id_scores, ood_scores = (detector.scores(scorer, view, choice.setting) for view in views)
        return Outcome(
            id_scores,
            ood_scores,
            choice.setting,
            rows=f"ID test rows from {self.rows} on, in file order, and all rows of the OOD set",
            tuned_on=choice.tuned_on,
            tuning=choice.record,
            id_rows=views[0].rows,
        )

    def check_sets(self, protocol: str, id_test: ImageSet) -> None:
        """Refuses an ID test set of which nothing would be left to score, or no rows to choose on.

        Raises:
            ConfigError: see above.
        """
        if not 0 < self.rows < len(id_test):
            raise ConfigError(
                f"protocol {protocol} takes {self.rows} rows of {id_test.title}, which has {len(id_test)}, for "
                f"ID-only tuning: set protocol.id_rows to at least 1 and less than that"
            )
