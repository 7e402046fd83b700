"""The protocol of ODIN's released code."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Detector, Scorer, View
from ood_bench.metrics.odin import on_official_grid
from ood_bench.protocols.base import Outcome
from ood_bench.protocols.validation import ValidatedProtocol
from ood_bench.tuning.search import Choice, Rule, fpr95_curve

_SKIP, _STOP = 1000, 10_000
_RULE = Rule("FPR at 95 % TPR (percent) on the skipped rows, lowest; the first of equals", "lowest")
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
        tune: ``published`` takes ``epsilons`` (or the detector's only setting); ``per_set`` searches the detector's
            grid on the skipped rows of the ID set and of the very set that is graded, as the README's numbers do;
            ``validation_ood`` searches on those of ``validation`` instead, as the paper's last version does; ``none``
            takes the detector's only setting.
        skip: first row that is scored.
        stop: row before which scoring stops.
        cut_id: OOD sets whose length also ends the ID stream (iSUN, which has 8,925 images).
        epsilons: published magnitude by OOD set.
        stands_for: by OOD set, the one whose published magnitude it takes, such as a rebuilt set its original's.
        temperature: temperature that goes with ``epsilons``.
        classes: number of classes, which chooses the official grid of thresholds.
        validation: config name of the OOD set to tune on; it must be one of the run's.
        seed: seeds what detectors draw when they are fitted.
    """

    skip: int = _SKIP
    stop: int = _STOP
    cut_id: list[str] = field(default_factory=list)
    classes: int = 10

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
        """Refuses several candidates where nothing chooses among them."""
        count = len(detector.grid())
        published = self.tune == "published" and method == "odin" and bool(self.epsilons)
        if count != 1 and self.tune in ("none", "published") and not published:
            raise ConfigError(
                f"method {method} has {count} candidate settings: use tune=per_set or tune=validation_ood, "
                f"or give it one"
            )

    def check_sets(self, id_test: ImageSet, ood: ImageSet) -> None:
        """Refuses sets of which fewer rows would be scored than skipped."""
        mend = "set protocol.skip=0" if self.tune in ("published", "none") else "set protocol.skip lower"
        for images in (id_test, ood):
            if len(images) < max(2 * self.skip, 1):
                raise ConfigError(
                    f"protocol {self.name} skips the first {self.skip} rows of {images.title}, which has only "
                    f"{len(images)}, and would score fewer than it skips: {mend}; tables then say which rows count"
                )
        if self.tune in ("per_set", "validation_ood") and self.skip == 0:
            raise ConfigError(f"protocol {self.name}: protocol.skip=0 leaves no rows to tune on")

    def run(self, method: str, detector: Detector, scorer: Scorer, id_test: ImageSet, ood: ImageSet) -> Outcome:
        """Chooses a setting, then scores the rows that are not skipped."""
        choice = self._choice(method, detector, scorer, id_test, ood)
        setting = choice.setting
        detector.calibrate(scorer, setting)
        id_view, ood_view = self.scored(method, detector, id_test, ood)
        statistics = [detector.statistics(scorer, view, [setting])[0] for view in (id_view, ood_view)]
        id_scores, ood_scores = (detector.score(rows) for rows in statistics)
        row = "msp" if method == "msp" else "odin"
        columns = _columns(detector, statistics)
        meant = method in _OFFICIAL_ROWS and setting.get("temperature", _OFFICIAL_T) == _OFFICIAL_T
        official = meant and on_official_grid(*columns, row=row, classes=self.classes)
        first, last, stop = self.skip, self.skip + len(id_view) - 1, self.skip + len(ood_view)
        return Outcome(
            id_scores,
            ood_scores,
            setting,
            rows=f"rows {first} to {last} of the ID test set, {first} to {stop - 1} of the OOD set, in file order",
            tuned_on=choice.tuned_on,
            convention_scores=columns if official else None,
            convention_options={"row": row, "classes": self.classes, "grid": "official" if official else "data"},
            tuning=choice.record,
            notes=[_OFF_GRID] if meant and not official else [],
            id_rows=id_view.rows,
            ood_rows=ood_view.rows,
        )

    def scored(self, method: str, detector: Detector, id_test: ImageSet, ood: ImageSet) -> tuple[View, View]:
        """All rows of both sets between ``skip`` and ``stop``."""
        del method, detector
        stop = min(self.stop, len(ood))
        id_stop = stop if ood.name in self.cut_id else self.stop
        return _rows(id_test, self.skip, id_stop), _rows(ood, self.skip, stop)

    def seen(self, method: str, detector: Detector, id_test: ImageSet, ood: ImageSet) -> Sequence[View]:
        """The skipped rows, where settings are searched on them."""
        if self.tune not in ("per_set", "validation_ood") or len(detector.grid()) == 1:
            return ()
        return [_rows(images, 0, self.skip) for images in (id_test, self._validation(ood))]

    def _choice(self, method: str, detector: Detector, scorer: Scorer, id_test: ImageSet, ood: ImageSet) -> Choice:
        """The setting to score with, and how it was chosen."""
        original = self.stands_for.get(ood.name, ood.name)
        if self.tune == "published" and method == "odin" and original in self.epsilons:
            setting = {"epsilon": self.epsilons[original], "temperature": self.temperature}
            where = "" if original == ood.name else f", for which {ood.name} stands in"
            return Choice(setting, f"images of {original}: the magnitude published for this set{where}")
        if len(settings := detector.grid()) == 1:
            return Choice(settings[0])
        if self.tune not in ("per_set", "validation_ood"):
            raise ConfigError(
                f"protocol {self.name}: protocol.epsilons names no magnitude for {ood.name}, and method {method} has "
                f"{len(settings)} candidates: add one, or use tune=per_set or tune=validation_ood"
            )
        inside, outside = self.seen(method, detector, id_test, ood)
        words = f"the first {self.skip} rows each of the ID test set and of {outside.images.name}"
        curve = fpr95_curve(detector, scorer, inside, outside, settings)
        return _RULE.choose(settings, curve, {id_test.name: self.skip, outside.images.name: len(outside)}, words)


def _rows(images: ImageSet, start: int, stop: int) -> View:
    """Rows ``start`` to ``stop``, or as many of them as there are."""
    return View(images, np.arange(start, min(stop, len(images)), dtype=np.int64))


def _columns(detector: Detector, statistics: Sequence[Array]) -> tuple[Array, Array]:
    """The numbers that the official code ranks: the softmax probabilities themselves."""
    inside, outside = (detector.features(rows)[:, 0] for rows in statistics)
    return inside, outside
