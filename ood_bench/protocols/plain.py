"""Our default: all rows, exact metrics, and nothing is learned from any OOD image."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector, Scorer, View
from ood_bench.protocols.base import Outcome, Protocol


@dataclass
class Plain(Protocol):
    """Every test row of both sets is scored once with fixed hyperparameters.

    Attributes:
        tune: tuning rule; this protocol has nothing to tune with.
        seed: seeds what detectors draw when they are fitted.
    """

    tune: Literal["published", "none"] = "published"
    seed: int = 0

    def check(self, method: str, detector: Detector) -> None:
        """Refuses a detector that leaves a choice open."""
        if (count := len(detector.grid())) != 1:
            raise ConfigError(
                f"method {method} has {count} candidate settings, and protocol={self.name} tunes nothing: "
                f"give one value for each of its hyperparameters, or use a protocol that tunes, such as protocol=fssd"
            )

    def check_sets(self, id_test: ImageSet, ood: ImageSet) -> None:
        """Any size will do."""

    def generator(self, ood: ImageSet) -> np.random.RandomState:
        """A fresh generator with the protocol's seed, whatever the OOD set."""
        del ood
        return np.random.RandomState(self.seed)

    def run(self, method: str, detector: Detector, scorer: Scorer, id_test: ImageSet, ood: ImageSet) -> Outcome:
        """Scores all rows with the detector's only setting."""
        del method
        (setting,) = detector.grid()
        detector.calibrate(scorer, setting)
        id_scores, ood_scores = (
            detector.score(detector.statistics(scorer, View(images), [setting])[0]) for images in (id_test, ood)
        )
        return Outcome(id_scores, ood_scores, setting, rows="all test rows of both sets")
