"""Choice of a setting on in-distribution validation rows alone."""

from dataclasses import dataclass, replace

import numpy as np

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector, Scorer, View
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

    @property
    def scored_in_words(self) -> str:
        """Which rows :meth:`scored` leaves, in words."""
        return f"ID test rows from {self.rows} on, in file order, and all rows of the OOD set"

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
        counts = {id_test.name: self.rows}
        if not self.halve:
            return ID_MEAN.choose(settings, curve, counts, words)
        rule = replace(ID_MEAN, objective=f"{ID_MEAN.objective}; half of the chosen magnitude is used")
        choice = rule.choose(settings, curve, counts, words)
        return replace(choice, setting={**choice.setting, "epsilon": choice.setting["epsilon"] / 2})

    def check_sets(self, protocol: str, id_test: ImageSet) -> None:
        """Raises a :class:`ConfigError` where nothing would be left to score, or there are no rows to choose on."""
        if not 0 < self.rows < len(id_test):
            raise ConfigError(
                f"protocol {protocol} takes {self.rows} rows of {id_test.title}, which has {len(id_test)}, for "
                f"ID-only tuning: set protocol.id_rows to at least 1 and less than that"
            )
