"""Choice of a setting on in-distribution validation rows alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Detector, Scorer, Setting, View
from ood_bench.protocols.base import Outcome


@dataclass(frozen=True)
class IdOnly:
    """Takes the setting with the highest mean score over validation rows; the first of equals.

    Source: Hsu et al., arXiv 2002.11297, for the magnitude of generalized ODIN's step.

    Attributes:
        rows: the first rows of the ID test set are for validation.
        halve: whether half of the chosen magnitude is used, as two public codes do.
        batch: 0 for the plain mean; otherwise the mean over batches of this size of their means, in which images of a
            smaller last batch weigh more.
    """

    rows: int = 1000
    halve: bool = False
    batch: int = 0

    def choose(self, detector: Detector, scorer: Scorer, id_test: ImageSet) -> tuple[Setting, Mapping[str, Any] | None]:
        """The setting to score with, and what the record says of the choice; none where there is no choice."""
        settings = detector.grid()
        if len(settings) == 1:
            return settings[0], None
        view = View(id_test, np.arange(self.rows, dtype=np.int64))
        curve = [self._mean(row) for row in detector.id_scores(scorer, view, settings)]
        best = settings[int(np.argmax(curve))]
        tuning = {
            "seen": {id_test.name: self.rows},
            "candidates": settings,
            "objective": "mean score of ID validation rows, highest; the first of equals" + self._afterwards,
            "curve": [[value] for value in curve],
        }
        return {**best, "epsilon": best["epsilon"] / 2} if self.halve else best, tuning

    @property
    def _afterwards(self) -> str:
        return "; half of the chosen magnitude is used" if self.halve else ""

    def _mean(self, scores: Array) -> float:
        starts = range(0, len(scores), self.batch or len(scores))
        return float(np.mean([scores[start : start + (self.batch or len(scores))].mean() for start in starts]))

    def run(self, detector: Detector, scorer: Scorer, id_test: ImageSet, ood: ImageSet) -> Outcome:
        """Chooses a setting and scores the other ID test rows and all OOD rows with it."""
        setting, tuning = self.choose(detector, scorer, id_test)
        detector.calibrate(scorer, setting)
        left = np.arange(self.rows, len(id_test), dtype=np.int64)
        views = View(id_test, left), View(ood)
        id_scores, ood_scores = (detector.score(detector.statistics(scorer, view, [setting])[0]) for view in views)
        return Outcome(
            id_scores,
            ood_scores,
            setting,
            rows=f"ID test rows from {self.rows} on, in file order, and all rows of the OOD set",
            tuned_on="nothing" if tuning is None else f"the first {self.rows} rows of the ID test set; no OOD image",
            tuning=tuning,
            id_rows=left,
        )

    def check(self, method: str, detector: Detector) -> None:
        """Refuses a detector with several settings that the mean score cannot choose among.

        Raises:
            ConfigError: see above.
        """
        settings = detector.grid()
        if len(settings) > 1 and not detector.tunes_by_id:
            raise ConfigError(
                f"method {method} has {len(settings)} candidate settings, and its mean score on ID images says nothing "
                f"about which is best: with ID-only tuning give it one value for each of its hyperparameters"
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
