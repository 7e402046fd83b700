"""The protocol of the Mahalanobis detector's released code."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Detector, Scorer, Setting, View
from ood_bench.metrics import evaluate
from ood_bench.protocols.base import Outcome, SeededProtocol
from ood_bench.tuning.adversarial import fgsm_images
from ood_bench.tuning.logistic import Combination
from ood_bench.tuning.logistic_2018 import fit_combination_2018
from ood_bench.tuning.search import Choice, Rule

_RULE = Rule("TNR at 95 % TPR (percent) on validation rows; the first of equals", "highest")


@dataclass
class MahalanobisProtocol(SeededProtocol):
    """The first 1,000 rows of both test sets are for validation, all others are scored; nothing is cut to one size.

    Methods with several raw scores (one for each tap) combine them by a logistic regression, fitted on the first
    ``fit_rows`` of each set; the setting with the highest TNR at 95 % TPR on the next ``select_rows`` wins. A method
    with a single raw score needs no regression and is chosen by the same number on all validation rows, as ODIN is.

    Source: arXiv 1807.03888 and its released code (``OOD_Regression_Mahalanobis.py``, ``OOD_Baseline_and_ODIN.py``);
    for ``validation: fgsm``, which that code lacks, the paper.

    Attributes:
        tune: ``published`` searches as described; ``none`` refuses detectors with several candidates.
        fit_rows: rows of each set for the regression.
        select_rows: rows of each set for the choice of a setting.
        folds: of the regression's cross-validation; 3 was scikit-learn's default in 2018.
        validation: what stands for OOD on validation rows: ``ood``, rows of the very set that is then graded; or
            ``fgsm``, adversarial images of the ID validation rows, so that no OOD image is seen.
        fgsm_magnitude: their step in raw [0, 1] pixels.
        excluded: settings by method that are another row of the table, such as ODIN at T = 1 without a step.
    """

    convention: str = "mahalanobis"
    tune: Literal["published", "none"] = "published"
    fit_rows: int = 500
    select_rows: int = 500
    folds: int = 3
    validation: Literal["ood", "fgsm"] = "ood"
    fgsm_magnitude: float = 0.05
    excluded: dict[str, list[dict[str, float]]] = field(default_factory=dict)

    revision = 2
    ranks_paper_scores = True

    @property
    def rows(self) -> int:
        """Rows of each set that are for validation."""
        return self.fit_rows + self.select_rows

    def identity(self) -> dict[str, Any]:
        """All options that have an effect."""
        options = super().identity()
        if self.validation == "ood":
            del options["fgsm_magnitude"]
        return options

    def check(self, method: str, detector: Detector) -> None:
        """Refuses several candidates under ``tune=none``, and a grid of which nothing is left."""
        count = len(self._grid(method, detector))
        if self.tune == "none" and count != 1:
            raise ConfigError(f"method {method} has {count} candidate settings: with tune=none give it one of each")
        if count == 0:
            raise ConfigError(f"method {method}: protocol.excluded leaves none of its settings: give it others")

    def check_sets(self, id_test: ImageSet, ood: ImageSet) -> None:
        """Refuses sets without test rows, and folds without rows."""
        if self.folds < 2 or self.fit_rows < self.folds or self.select_rows < 1:
            raise ConfigError(
                f"protocol {self.name}: fit_rows ({self.fit_rows}) must be at least folds ({self.folds}), that at "
                f"least 2, and select_rows ({self.select_rows}) at least 1"
            )
        for images in (id_test, ood):
            if len(images) <= self.rows:
                raise ConfigError(
                    f"protocol {self.name} takes {self.fit_rows} + {self.select_rows} rows of {images.title} for "
                    f"validation, but it has only {len(images)}: set protocol.fit_rows and protocol.select_rows lower"
                )

    def scored(self, method: str, detector: Detector, id_test: ImageSet, ood: ImageSet) -> tuple[View, View]:
        """The rows of both sets that are not for validation."""
        id_rows, ood_rows = (np.arange(self.rows, len(images), dtype=np.int64) for images in (id_test, ood))
        return View(id_test, id_rows), View(ood, ood_rows)

    def seen(self, method: str, detector: Detector, id_test: ImageSet, ood: ImageSet) -> Sequence[View]:
        """The validation rows; those of the OOD set only where it is validated on."""
        sets = (id_test, ood) if self.validation == "ood" else (id_test,)
        return [self._first_rows(images) for images in sets]

    def run(self, method: str, detector: Detector, scorer: Scorer, id_test: ImageSet, ood: ImageSet) -> Outcome:
        """Chooses a setting on validation rows and scores the others."""
        settings = self._grid(method, detector)
        inside = self._first_rows(id_test)
        attacked = self.validation == "fgsm"
        outside = self._first_rows(fgsm_images(scorer, inside, self.fgsm_magnitude) if attacked else ood)
        validation = [detector.paper_scores(scorer, view, settings) for view in (inside, outside)]
        combinations = self._fit(validation)
        curve = self._curve(detector, scorer, settings, validation, combinations) if len(settings) > 1 else []
        choice = self._choice(settings, curve, combinations[0], (inside, outside))
        setting, combination = choice.setting, combinations[settings.index(dict(choice.setting))]
        detector.calibrate(scorer, setting)
        test = self.scored(method, detector, id_test, ood)
        id_scores, ood_scores = (
            _exact(detector, detector.raw_scores(scorer, view, [setting])[0], combination) for view in test
        )
        id_ranked, ood_ranked = (
            _ranked(detector, detector.paper_scores(scorer, view, [setting])[0], combination) for view in test
        )
        return Outcome(
            id_scores,
            ood_scores,
            setting=setting,
            rows=f"test rows in file order, without the first {self.rows} of each set",
            tuned_on=choice.tuned_on,
            convention_scores=(id_ranked, ood_ranked),
            tuning=choice.record,
            id_rows=test[0].rows,
            ood_rows=test[1].rows,
        )

    def _grid(self, method: str, detector: Detector) -> list[dict[str, float]]:
        """The candidates, temperatures in the outer loop, without those that are another row of the table."""
        grid = detector.grid()
        temperatures = list(dict.fromkeys(one.get("temperature") for one in grid))
        settings = [one for one in grid if one not in self.excluded.get(method, [])]
        return sorted(settings, key=lambda one: temperatures.index(one.get("temperature")))

    def _first_rows(self, images: ImageSet) -> View:
        return View(images, np.arange(self.rows, dtype=np.int64))

    def _fit(self, validation: Sequence[Array]) -> list[Combination | None]:
        """One regression for each setting, or none for detectors with a single raw score."""
        if validation[0].shape[2] == 1:
            return [None] * len(validation[0])
        fit = slice(self.fit_rows)
        return [fit_combination_2018(a[fit], b[fit], self.folds) for a, b in zip(*validation, strict=True)]

    def _curve(
        self,
        detector: Detector,
        scorer: Scorer,
        settings: Sequence[Setting],
        validation: Sequence[Array],
        combinations: Sequence[Combination | None],
    ) -> list[float]:
        """TNR at 95 % TPR of every setting, in percent: on the selection rows, or on all where nothing was fitted."""
        curve = []
        for setting, a, b, combination in zip(settings, *validation, combinations, strict=True):
            detector.calibrate(scorer, setting)
            start = 0 if combination is None else self.fit_rows
            scores = (_ranked(detector, rows[start:], combination) for rows in (a, b))
            curve.append(evaluate("mahalanobis", *scores)["tnr95"])
        return curve

    def _choice(
        self,
        settings: Sequence[Setting],
        curve: Sequence[float],
        combination: Combination | None,
        seen: tuple[View, View],
    ) -> Choice:
        """The first of the best settings, and what that and the regression saw."""
        if len(settings) == 1 and combination is None:
            return Choice(settings[0])
        attacked = self.validation == "fgsm"
        other = "their adversarial images by FGSM" if attacked else seen[1].images.name
        first, what = (
            (self.rows, "choose the setting") if combination is None else (self.fit_rows, "fit the regression")
        )
        words = f"the first {first} rows each of the ID test set and of {other} {what}"
        if combination is not None and curve:
            words += f", the next {self.select_rows} of each choose the setting"
        counts = {view.images.name: self.rows if curve else self.fit_rows for view in seen}
        return _RULE.choose(settings, curve, counts, f"{words}; no OOD image" if attacked else words)


def _exact(detector: Detector, raw_scores: Array, combination: Combination | None) -> Array:
    """Scores free of artificial ties: log odds, or the raw score itself."""
    return detector.final_scores(raw_scores) if combination is None else combination.decision(raw_scores)


def _ranked(detector: Detector, scores: Array, combination: Combination | None) -> Array:
    """What the released code ranks: minus the regression's probability of OOD, or the score as papers' code has it."""
    return detector.final_scores(scores) if combination is None else -combination.ood_probability(scores)
