"""The protocol of the leave-out ensemble, by its unofficial code; no official one is known."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector, Scorer, View
from ood_bench.protocols.base import Outcome, outcome_of
from ood_bench.protocols.validation import ValidatedProtocol
from ood_bench.tuning.splits import legacy_permutation


@dataclass
class ElocProtocol(ValidatedProtocol):
    """All rows of both sets but the first 1,000 of a legacy permutation: 9,000 and 9,000 for CIFAR.

    Of an OOD set as many rows are looked at as the ID test set has, so that the same numbers are left out of sets of
    10,000; a shorter set such as iSUN, which the code cannot score, is permuted for itself. What is left out is for
    validation: classifiers choose their epoch on these rows of the ID set and of their validation set.

    Source: unofficial implementation of arXiv 1809.03576.

    Attributes:
        tune: see :class:`~ood_bench.protocols.validation.ValidatedProtocol`; validation rows are those left out. The
            paper's is ``validation_ood`` with iSUN.
        validation_rows: number of rows that are left out of each set.
        split_seed: legacy seed of the permutation.
    """

    validation_rows: int = 1000
    split_seed: int = 3

    tuned_method: ClassVar[str] = "eloc"
    hedge: ClassVar[str] = ", probably"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.validation_rows < 1 or not 0 <= self.split_seed < 2**32:
            raise ConfigError(
                f"protocol {self.name}: validation_rows must be at least 1, split_seed from 0 to 2^32 - 1"
            )

    def check_sets(self, id_test: ImageSet, ood: ImageSet) -> None:
        """Refuses sets of which nothing would be left to score."""
        for images in (id_test, ood):
            if len(images) <= self.validation_rows:
                raise ConfigError(
                    f"protocol {self.name} leaves out {self.validation_rows} rows of {images.title}, which has only "
                    f"{len(images)}: set protocol.validation_rows lower"
                )

    def _left_out(self, count: int) -> np.ndarray:
        """The first validation rows of a permutation of ``count``."""
        return legacy_permutation(self.split_seed, count)[0][: self.validation_rows]

    def scored(self, method: str, detector: Detector, id_test: ImageSet, ood: ImageSet) -> tuple[View, View]:
        """The rows of both sets that are not left out, in file order."""
        counts = len(id_test), min(len(ood), len(id_test))
        id_rows, ood_rows = (np.setdiff1d(np.arange(count), self._left_out(count)) for count in counts)
        return View(id_test, id_rows), View(ood, ood_rows)

    def validation_rows_of(self, images: ImageSet, id_test: ImageSet) -> View:
        """The rows that are left out."""
        return View(images, self._left_out(min(len(images), len(id_test))))

    def rows_in_words(self, inside: View, outside: View | None) -> str:
        """The rows that are left out, in words."""
        if outside is None:
            return f"{len(inside)} left-out rows of the ID test set; no OOD image"
        return f"{len(inside)} left-out rows of the ID test set and {len(outside)} rows of {outside.images.name}"

    def run(self, method: str, detector: Detector, scorer: Scorer, id_test: ImageSet, ood: ImageSet) -> Outcome:
        """Chooses a setting, then scores the rows that are not left out."""
        choice = self.choose(method, detector, scorer, id_test, ood)
        rows = (
            f"the rows of both sets, of the OOD set at most as many as the ID test set has, without the numbers that "
            f"come first in a legacy permutation of seed {self.split_seed}, {self.validation_rows} in all"
        )
        views = self.scored(method, detector, id_test, ood)
        return outcome_of(detector, scorer, choice, views, rows)
