"""The protocol of FSSD's released code, to the letter."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Detector, Scorer, Setting, View
from ood_bench.metrics import evaluate
from ood_bench.protocols.base import Outcome, Protocol
from ood_bench.tuning.logistic import FOLDS, Combination, fit_combination
from ood_bench.tuning.search import Choice, Rule
from ood_bench.tuning.splits import Split, legacy_permutation, split_rows

_RULE = Rule("TNR at 95 % TPR (percent) on the selection rows; the first of equals", "highest")


@dataclass
class FssdProtocol(Protocol):
    """Fit, selection and test rows all come from the test sets, of the very OOD set that is graded.

    A logistic regression over the raw scores is fitted on ``fit_rows`` of each set; among several settings the one
    with the highest TNR at 95 % TPR on the next ``select_rows`` wins, the first of equals, starting from 0 with a
    strict comparison; the metrics rank the regression's probability of ID on the rest.

    Source: arXiv 2011.14654, released code (scripts for FSSD, Mahalanobis, ODIN, baseline/OE and deep ensembles).

    Attributes:
        tune: ``published`` searches as the code does; ``none`` refuses detectors with several candidates.
        fit_rows: rows of each set for the regression.
        select_rows: rows of each set for the selection.
        split_seed: legacy seed of the permutation, set anew for each of the two sets.
        unshuffled: methods whose script takes the rows in order.
        uncut: methods whose script keeps more OOD than ID test rows.
    """

    tune: Literal["published", "none"] = "published"
    fit_rows: int = 500
    select_rows: int = 500
    split_seed: int = 42
    unshuffled: list[str] = field(default_factory=list)
    uncut: list[str] = field(default_factory=list)

    ranks_paper_scores = True

    def check(self, method: str, detector: Detector) -> None:
        """Refuses several candidates under ``tune=none`` or without rows to choose by."""
        count = len(detector.grid())
        if self.tune == "none" and count != 1:
            raise ConfigError(f"method {method} has {count} candidate settings: with tune=none give it one of each")
        if self.select_rows < 1 and count != 1:
            raise ConfigError(f"method {method} has {count} candidate settings: set protocol.select_rows to 1 or more")

    def check_sets(self, id_test: ImageSet, ood: ImageSet) -> None:
        """Refuses sets without test rows, and folds without rows."""
        if self.fit_rows < FOLDS:
            raise ConfigError(f"protocol {self.name}: fit_rows is {self.fit_rows}, {FOLDS}-fold validation needs more")
        if self.select_rows < 0:
            raise ConfigError(f"protocol {self.name}: select_rows is {self.select_rows}, it must be at least 0")
        for images in (id_test, ood):
            if len(images) <= self.fit_rows + self.select_rows:
                raise ConfigError(
                    f"protocol {self.name} takes {self.fit_rows} + {self.select_rows} rows of {images.title} for "
                    f"validation, but it has only {len(images)}: set protocol.fit_rows and protocol.select_rows lower"
                )

    def generator(self, ood: ImageSet) -> np.random.RandomState:
        """The legacy generator after it has permuted the OOD set, from which the code goes on to draw the noise."""
        return legacy_permutation(self.split_seed, len(ood))[1]

    def run(self, method: str, detector: Detector, scorer: Scorer, id_test: ImageSet, ood: ImageSet) -> Outcome:
        """Splits, selects a setting, fits the regression anew and scores the test rows."""
        id_split, ood_split, most = self._splits(method, detector, id_test, ood)
        choice = self._select(detector, scorer, id_split, ood_split)
        combination = self._fit(detector, scorer, id_split.fit, ood_split.fit, [choice.setting])[0]
        id_features, ood_features = (
            detector.paper_scores(scorer, view, [choice.setting])[0] for view in (id_split.test, ood_split.test)
        )
        ood_features = ood_features[:most]
        id_scores, ood_scores = combination.decision(id_features), combination.decision(ood_features)
        if detector.paper_revision:  # log odds of float32 probabilities tie as these do
            way = np.sign(combination.coefficients.sum())
            id_scores = way * detector.scores(scorer, id_split.test, choice.setting)
            ood_scores = way * detector.scores(scorer, ood_split.test, choice.setting)[:most]
        return Outcome(
            id_scores,
            ood_scores,
            setting=choice.setting,
            rows=self._rows(method),
            tuned_on=choice.tuned_on,
            convention_scores=(combination.probability(id_features), combination.probability(ood_features)),
            tuning=choice.record,
            id_rows=id_split.test.rows,
            ood_rows=None if ood_split.test.rows is None else ood_split.test.rows[:most],
        )

    def scored(self, method: str, detector: Detector, id_test: ImageSet, ood: ImageSet) -> tuple[View, View]:
        """The test rows of both sets."""
        id_split, ood_split, _ = self._splits(method, detector, id_test, ood)
        return id_split.test, ood_split.test

    def seen(self, method: str, detector: Detector, id_test: ImageSet, ood: ImageSet) -> Sequence[View]:
        """The rows of both sets that fit the regression and choose among settings."""
        id_split, ood_split, _ = self._splits(method, detector, id_test, ood)
        return [id_split.fit, ood_split.fit, id_split.select, ood_split.select]

    def _splits(
        self, method: str, detector: Detector, id_test: ImageSet, ood: ImageSet
    ) -> tuple[Split, Split, int | None]:
        """Both sets' splits, and the number of OOD scores that are kept (none for all)."""
        id_split = self._split(method, id_test, None)
        most = None if method in self.uncut else len(id_split.test)
        # The code scores all OOD rows and cuts the scores, so that the last row kept still had a whole batch around it.
        whole = None if most is None else -(-most // detector.block) * detector.block
        return id_split, self._split(method, ood, whole), most

    def _split(self, method: str, images: ImageSet, most: int | None) -> Split:
        if method in self.unshuffled:
            order = np.arange(len(images), dtype=np.int64)
        else:
            order, _ = legacy_permutation(self.split_seed, len(images))
        return split_rows(images, order, self.fit_rows, self.select_rows, most)

    def _fit(
        self, detector: Detector, scorer: Scorer, id_view: View, ood_view: View, settings: Sequence[Setting]
    ) -> list[Combination]:
        """One regression for each setting."""
        inside, outside = (detector.paper_scores(scorer, view, settings) for view in (id_view, ood_view))
        return [fit_combination(a, b) for a, b in zip(inside, outside, strict=True)]

    def _select(self, detector: Detector, scorer: Scorer, id_split: Split, ood_split: Split) -> Choice:
        """The setting with the highest TNR at 95 % TPR; rows to fit on are seen even where there is no choice."""
        settings, curve = detector.grid(), []
        if len(settings) > 1:
            curve = self._curve(detector, scorer, id_split, ood_split, settings)
        count = self.fit_rows + (self.select_rows if curve else 0)
        sets = id_split.fit.images, ood_split.fit.images
        words = f"{self.fit_rows} test rows each of the ID set and of {sets[1].name} fit the logistic regression"
        more = f", {self.select_rows} more of each choose the hyperparameters" if curve else ""
        return _RULE.choose(settings, curve, {images.name: count for images in sets}, words + more)

    def _curve(
        self, detector: Detector, scorer: Scorer, id_split: Split, ood_split: Split, settings: Sequence[Setting]
    ) -> list[float]:
        """TNR at 95 % TPR of every setting on the selection rows, in percent."""
        combinations = self._fit(detector, scorer, id_split.fit, ood_split.fit, settings)
        views = id_split.select, ood_split.select
        inside, outside = (detector.paper_scores(scorer, view, settings) for view in views)
        curve = [_tnr95(*one) for one in zip(combinations, inside, outside, strict=True)]
        if max(curve) <= 0:
            raise ConfigError(
                f"protocol {self.name}: no setting of {type(detector).__name__} reaches a TNR above 0 at 95 % TPR on "
                "the selection rows, so that the released code chooses none"
            )
        return curve

    def _rows(self, method: str) -> str:
        order = "in file order" if method in self.unshuffled else f"permuted by the legacy seed {self.split_seed}"
        cut = "all remaining OOD rows" if method in self.uncut else "as many OOD rows as ID rows at most"
        return f"test rows {order}, without the first {self.fit_rows + self.select_rows} of each set; {cut}"


def _tnr95(combination: Combination, id_features: Array, ood_features: Array) -> float:
    scores = combination.probability(id_features), combination.probability(ood_features)
    return evaluate("fssd", *scores)["tnr95"]
