"""The protocol of ODIN's released code."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Detector, Scorer, Setting, View
from ood_bench.metrics.odin import on_official_grid
from ood_bench.protocols.base import Outcome, outcome_of
from ood_bench.protocols.validation import ValidatedProtocol

_SKIP, _STOP = 1000, 10_000
_OFFICIAL_ROWS, _OFFICIAL_T = ("msp", "odin"), 1000.0
_OFF_GRID = (
    "Scores lie outside the released code's fixed grid of thresholds, which was made for other logits; its formulas "
    "are applied to as many thresholds between the lowest and the highest score."
)


@dataclass
class OdinProtocol(ValidatedProtocol):
    """Rows 1,000 to 9,999 of both sets in their order; the first 1,000 are left to tuning.

    Source: arXiv 1706.02690 and its released code. What the skipped rows are for is not said there; the Mahalanobis
    code, which derives from it, tunes on them.

    Attributes:
        tune: see :class:`~ood_bench.protocols.validation.ValidatedProtocol`; validation rows are the skipped ones.
            The README's numbers are ``per_set``, the paper's last version is ``validation_ood``.
        skip: first row that is scored.
        stop: row before which scoring stops.
        cut_id: OOD sets whose length also ends the ID stream (iSUN, which has 8,925 images).
        classes: number of classes, which chooses the official grid of thresholds.
    """

    convention: str = "odin"
    skip: int = _SKIP
    stop: int = _STOP
    cut_id: list[str] = field(default_factory=list)
    classes: int = 10

    tuned_method: ClassVar[str] = "odin"
    ranks_paper_scores = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.skip < self.stop:
            raise ConfigError(
                f"protocol {self.name}: skip ({self.skip}) must be below stop ({self.stop}), and not below 0"
            )
        if (self.skip, self.stop) != (_SKIP, _STOP):
            rows = f"Rows {self.skip} to {self.stop - 1} are scored, not {_SKIP} to {_STOP - 1} as in the paper."
            self.deviations = [*self.deviations, rows]

    def check(self, method: str, detector: Detector) -> None:
        """Refuses several candidates where nothing chooses among them, or on no rows."""
        super().check(method, detector)
        if self.skip == 0 and len(detector.grid()) != 1 and self.tune not in ("published", "none"):
            raise ConfigError(f"protocol {self.name}: protocol.skip=0 leaves no rows to tune method {method} on")

    def check_sets(self, id_test: ImageSet, ood: ImageSet) -> None:
        """Refuses sets of which fewer rows would be scored than skipped."""
        hint = "set protocol.skip=0" if self.tune in ("published", "none") else "set protocol.skip lower"
        for images in (id_test, ood):
            if len(images) < max(2 * self.skip, 1):
                raise ConfigError(
                    f"protocol {self.name} skips the first {self.skip} rows of {images.title}, which has only "
                    f"{len(images)}, and would score fewer than it skips: {hint}; tables then say which rows count"
                )

    def run(self, method: str, detector: Detector, scorer: Scorer, id_test: ImageSet, ood: ImageSet) -> Outcome:
        """Chooses a setting, then scores the rows that are not skipped."""
        choice = self.choose(method, detector, scorer, id_test, ood)
        views = self.scored(method, detector, id_test, ood)
        last, ood_last = (self.skip + len(view) - 1 for view in views)
        rows = f"rows {self.skip} to {last} of the ID test set, {self.skip} to {ood_last} of the OOD set, in file order"
        outcome = outcome_of(detector, scorer, choice, views, rows, paper=self.convention == "odin")
        if self.convention != "odin":
            return outcome
        ranked = outcome.convention_scores or (outcome.id_scores, outcome.ood_scores)
        options = self.convention_options(method, choice.setting, ranked)
        off = options["grid"] != "official" and _meant(method, choice.setting)
        return replace(
            outcome,
            convention_scores=ranked,
            convention_options=options,
            notes=[*outcome.notes, _OFF_GRID] if off else outcome.notes,
        )

    def convention_options(self, method: str, setting: Setting, ranked: tuple[Array, Array]) -> dict[str, Any]:
        """The row of the paper's table, and its grid of thresholds where that reaches over the scores."""
        if self.convention != "odin":
            return {}
        row = "msp" if method == "msp" else "odin"
        official = _meant(method, setting) and on_official_grid(*ranked, row=row, classes=self.classes)
        return {"row": row, "classes": self.classes, "grid": "official" if official else "data"}

    def scored(self, method: str, detector: Detector, id_test: ImageSet, ood: ImageSet) -> tuple[View, View]:
        """All rows of both sets between ``skip`` and ``stop``."""
        stop = min(self.stop, len(ood))
        id_stop = stop if ood.name in self.cut_id else self.stop
        return _rows(id_test, self.skip, id_stop), _rows(ood, self.skip, stop)

    def validation_rows_of(self, images: ImageSet, id_test: ImageSet) -> View:
        """The skipped rows."""
        return _rows(images, 0, self.skip)

    def rows_in_words(self, inside: View, outside: View | None) -> str:
        """The skipped rows, in words."""
        if outside is None:
            return f"the first {self.skip} rows of the ID test set; no OOD image"
        return f"the first {self.skip} rows each of the ID test set and of {outside.images.name}"


def _meant(method: str, setting: Setting) -> bool:
    """Whether the released code's grids are made for this method at this temperature."""
    return method in _OFFICIAL_ROWS and setting.get("temperature", _OFFICIAL_T) == _OFFICIAL_T


def _rows(images: ImageSet, start: int, stop: int) -> View:
    """Rows ``start`` to ``stop``, or as many of them as there are."""
    return View(images, np.arange(start, min(stop, len(images)), dtype=np.int64))
