"""Our default: exact metrics, and nothing is learned from any OOD image unless a tuning rule is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector, Scorer, View
from ood_bench.protocols.base import Outcome, SeededProtocol, outcome_of
from ood_bench.tuning.search import AUROC, FPR95, Choice, IdOnly, Rule, refuse_id_only, search

_RULES: dict[str, Rule] = {"validation_ood": FPR95, "per_set": FPR95, "aps": AUROC}
_NAMES = {"validation_ood": "tuned on one OOD set", "per_set": "tuned on each OOD set", "aps": "APS"}


@dataclass
class Plain(SeededProtocol):
    """Every test row of both sets is scored once, with fixed hyperparameters or with those that a rule chooses.

    A rule that searches sees the first ``id_rows`` rows of the ID test set and, but for ``id_only``, as many of an OOD
    set. None of them is scored.

    Attributes:
        tune: ``published`` and ``none`` have nothing to tune with; ``id_only`` takes the highest mean score of ID rows;
            ``validation_ood`` the lowest FPR at 95 % TPR on ID rows and rows of ``validation``, ``aps`` the highest
            AUROC on them; ``per_set`` the lowest FPR on rows of the very set that is graded.
        id_rows: rows of each set that rules see.
        validation: config name of the OOD set that ``validation_ood`` and ``aps`` see; it must be one of the run's.
    """

    tune: Literal["published", "none", "id_only", "validation_ood", "per_set", "aps"] = "published"
    id_rows: int = 1000
    validation: str = ""

    def __post_init__(self) -> None:
        self._sets: Mapping[str, ImageSet] = {}

    @property
    def rule(self) -> IdOnly | None:
        """The choice among settings by ID rows, if that is the rule."""
        return IdOnly(self.id_rows) if self.tune == "id_only" else None

    @property
    def compared_by(self) -> Rule | None:
        """What settings are compared by, if rows of an OOD set are seen."""
        return _RULES.get(self.tune)

    @property
    def variant(self) -> str:
        """The rule, where methods are tuned on OOD rows: tables show them beside those that are not."""
        return _NAMES.get(self.tune, "")

    def attach(self, sets: Mapping[str, ImageSet]) -> None:
        """Takes note of the run's OOD sets, one of which may be the validation set."""
        self._sets = sets
        if self.tune in ("validation_ood", "aps") and self.validation not in sets:
            raise ConfigError(
                f"tune={self.tune}: protocol.validation is {self.validation!r}, which is none of this run's OOD sets "
                f"({', '.join(sets)})",
                "add it to ood=[…] or name another",
            )

    def identity(self) -> dict[str, Any]:
        """All options that have an effect, with the pixels of the validation set where one is used."""
        options = super().identity()
        del options["validation"]
        if self.rule is None and self.compared_by is None:
            del options["id_rows"]
        if self.tune in ("validation_ood", "aps"):
            options["validation_set"] = self._sets[self.validation].fingerprint
        return options

    def check(self, method: str, detector: Detector) -> None:
        """Refuses a detector that leaves a choice open."""
        if self.tune == "id_only":
            refuse_id_only(method, detector)
        elif self.compared_by is None and (count := len(detector.grid())) != 1:
            raise ConfigError(
                f"method {method} has {count} candidate settings, and protocol={self.name} tunes nothing: "
                f"give one value for each of its hyperparameters, or use tune=aps, tune=validation_ood or tune=per_set"
            )

    def check_sets(self, id_test: ImageSet, ood: ImageSet) -> None:
        """Any size will do, unless rows are held out.

        Raises:
            ConfigError: if nothing would be left to score, or there are no rows to choose on.
        """
        if self.rule is not None:
            self.rule.check_sets(self.name, id_test)
        for images in (id_test, self._searched_on(ood)):
            if self.compared_by is not None and images is not None and not 0 < self.id_rows < len(images):
                raise ConfigError(
                    f"protocol {self.name}: tune={self.tune} takes {self.id_rows} rows of {images.title}, which has "
                    f"{len(images)}",
                    "set protocol.id_rows to at least 1 and less than that",
                )

    def scored(self, method: str, detector: Detector, id_test: ImageSet, ood: ImageSet) -> tuple[View, View]:
        """All rows that no rule may see."""
        if self.rule is not None:
            return self.rule.scored(id_test, ood)
        if self.compared_by is None:
            return View(id_test), View(ood)
        searched = self._searched_on(ood)
        seen = searched is not None and searched.same_pixels(ood)
        return self._rows(id_test, held_out=False), self._rows(ood, held_out=False) if seen else View(ood)

    def seen(self, method: str, detector: Detector, id_test: ImageSet, ood: ImageSet) -> Sequence[View]:
        """The rows that are held out, where they choose a setting."""
        if self.rule is not None:
            return self.rule.seen(detector, id_test)
        searched = self._searched_on(ood)
        if searched is None or len(detector.candidates()) == 1:
            return ()
        return [self._rows(images, held_out=True) for images in (id_test, searched)]

    def _searched_on(self, ood: ImageSet) -> ImageSet | None:
        """The OOD set whose first rows are seen, if any are."""
        if self.compared_by is None:
            return None
        return ood if self.tune == "per_set" else self._sets[self.validation]

    def _rows(self, images: ImageSet, *, held_out: bool) -> View:
        ends = (0, self.id_rows) if held_out else (self.id_rows, len(images))
        return View(images, np.arange(*ends, dtype=np.int64))

    def run(self, method: str, detector: Detector, scorer: Scorer, id_test: ImageSet, ood: ImageSet) -> Outcome:
        """Scores all rows that are not held out, with the detector's only setting or the one chosen."""
        views = self.scored(method, detector, id_test, ood)
        if self.rule is not None:
            choice, rows = self.rule.choose(detector, scorer, id_test), self.rule.scored_in_words
        elif self.compared_by is not None:
            seen = self.seen(method, detector, id_test, ood)
            names = " and ".join(view.images.name for view in seen)
            words = f"the first {self.id_rows} rows each of {names}" if seen else ""
            choice = search(detector, scorer, seen, words, self.compared_by)
            rows = f"ID test rows from {self.id_rows} on, in file order, and " + (
                "all rows of the OOD set" if len(views[1]) == len(ood) else "as many fewer of the OOD set"
            )
        else:
            (setting,) = detector.grid()
            choice, rows = Choice(setting), "all test rows of both sets"
        return outcome_of(detector, scorer, choice, views, rows, paper=self.ranks_paper_scores)
