"""The search among a detector's settings: one curve over the candidates, and the first of the best."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Detector, Scorer, Setting, View
from ood_bench.metrics import Curve, exact


@dataclass(frozen=True)
class Choice:
    """A setting, and how it came about.

    Attributes:
        setting: what is scored with.
        tuned_on: what the choice saw, in words.
        record: what the record says of the search; none where there was none.
        notes: remarks for the record, a sentence each.
    """

    setting: Setting
    tuned_on: str = "nothing"
    record: Mapping[str, Any] | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Rule:
    """What settings are compared by.

    Attributes:
        objective: the value that is compared, in words.
        best: which end of the curve wins; the first of equals.
    """

    objective: str
    best: Literal["lowest", "highest"]

    def choose(
        self, settings: Sequence[Setting], curve: Sequence[float], seen: Mapping[str, int], tuned_on: str
    ) -> Choice:
        """The winner, and the record of the search.

        Args:
            settings: the candidates, in the order in which they are tried.
            curve: the value of each; may be empty for a single one.
            seen: number of rows of each image set that the search saw, by name.
            tuned_on: the same in words.
        """
        record = {
            "seen": dict(seen),
            "candidates": list(settings),
            "objective": self.objective,
            "curve": [[value] for value in curve],
        }
        best = 0 if len(settings) == 1 else int(np.argmin(curve) if self.best == "lowest" else np.argmax(curve))
        return Choice(settings[best], tuned_on, record)


FPR95 = Rule("FPR at 95 % TPR (percent) on the validation rows, lowest; the first of equals", "lowest")
AUROC = Rule("AUROC (percent) on the validation rows, highest; the first of equals", "highest")
ID_MEAN = Rule("mean score of ID validation rows, highest; the first of equals", "highest")


def search(
    detector: Detector,
    scorer: Scorer,
    seen: Sequence[View],
    words: str,
    rule: Rule = FPR95,
    *,
    candidates: Sequence[Setting] | None = None,
) -> Choice:
    """The best of a detector's settings on validation rows.

    Args:
        detector: the detector, fitted.
        scorer: classifiers and engine.
        seen: validation rows of the ID set, and those of an OOD set: then ``rule`` says what wins, without them the
            highest mean score. Empty where there is but one setting.
        words: the same in words.
        rule: :data:`FPR95` or :data:`AUROC`.
        candidates: the settings; by default the detector's.
    """
    settings = candidates or (detector.grid() if len(seen) == 1 else detector.candidates())
    if len(settings) == 1:
        return Choice(settings[0])
    counts = {view.images.name: len(view) for view in seen}
    if len(seen) == 1:
        return ID_MEAN.choose(settings, id_mean_curve(detector, scorer, seen[0], settings), counts, words)
    inside, outside = seen
    measure = exact.auroc if rule is AUROC else _fpr95
    curve = _curve(detector, scorer, (inside, outside), settings, measure)
    choice = rule.choose(settings, curve, counts, words)
    return choice if settings == detector.grid() else replace(choice, notes=edges(settings, curve, choice.setting))


def edges(settings: Sequence[Setting], curve: Sequence[float], chosen: Setting) -> list[str]:
    """A sentence for each number of the chosen setting that is the smallest or the largest of at least three tried.

    Not for one that does as well further inside, as where it has no effect.
    """
    value_of = dict(zip(map(str, settings), curve, strict=True))
    equals = [setting for setting in settings if value_of[str(setting)] == value_of[str(dict(chosen))]]
    sentences = []
    for name, value in chosen.items():
        tried = sorted({setting[name] for setting in settings})
        if len(tried) > 2 and {setting[name] for setting in equals} <= {tried[0], tried[-1]}:
            end = "smallest" if value == tried[0] else "largest"
            sentences.append(f"{name} {value:g} is at the edge of its grid, the {end} of {len(tried)} that were tried.")
    return sentences


def _fpr95(curve: Curve) -> float:
    return exact.fpr_at_tpr(curve, 0.95)


def _curve(
    detector: Detector,
    scorer: Scorer,
    views: tuple[View, View],
    settings: Sequence[Setting],
    measure: Callable[[Curve], float],
) -> list[float]:
    """A metric of every setting on validation rows of both kinds, in percent; ties as papers' code has them."""
    scores = [detector.paper_scores(scorer, view, settings) for view in views]
    curve = []
    for setting, a, b in zip(settings, *scores, strict=True):
        detector.calibrate(scorer, setting)
        curve.append(100 * measure(Curve.of(detector.final_scores(a), detector.final_scores(b))))
    return curve


def id_mean_curve(
    detector: Detector, scorer: Scorer, inside: View, settings: Sequence[Setting], batch: int = 0
) -> list[float]:
    """Mean score of ID validation rows at every setting.

    Source: Hsu et al., arXiv 2002.11297, for the magnitude of generalized ODIN's step. For the steps of ODIN, of
    Mahalanobis and of the leave-out ensemble it is our choice, not their papers'.

    Args:
        detector: the detector, fitted.
        scorer: classifiers and engine.
        inside: the rows.
        settings: the candidates.
        batch: 0 for the plain mean; otherwise the mean over batches of this size of their means, in which images of a
            smaller last batch weigh more.
    """
    return [_mean(scores, batch or len(scores)) for scores in detector.id_scores(scorer, inside, settings)]


def _mean(scores: Array, batch: int) -> float:
    return float(np.mean([scores[start : start + batch].mean() for start in range(0, len(scores), batch)]))


@dataclass(frozen=True)
class IdOnly:
    """Takes the setting with the highest mean score over the first rows of the ID test set; the first of equals.

    Attributes:
        rows: number of those rows; they are not scored, whether or not there is a choice.
        halve: whether half of the chosen magnitude is used, as two public codes do.
        batch: see :func:`id_mean_curve`.
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


def refuse_id_only(method: str, detector: Detector) -> None:
    """Raises a :class:`ConfigError` for a detector among whose settings the mean score of ID images cannot choose."""
    settings = detector.grid()
    if len(settings) > 1 and not detector.tunes_by_id:
        which, one = "is best", "value for each of its hyperparameters"
    elif len({setting.get("temperature") for setting in settings}) > 1:
        which, one = "temperature is best", "temperature"
    else:
        return
    raise ConfigError(
        f"method {method} has {len(settings)} candidate settings, and its mean score on ID images says nothing about "
        f"which {which}: with ID-only tuning give it one {one}"
    )
