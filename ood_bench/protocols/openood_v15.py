"""The protocol of OpenOOD v1.5."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector, Scorer, View
from ood_bench.methods.grid import product
from ood_bench.protocols.base import Outcome, SeededProtocol, outcome_of
from ood_bench.tuning.search import AUROC, Choice, search

_REMEDY = "choose id=openood_cifar10 or another of OpenOOD's sets, name both in conf/id, or use tune=none"


@dataclass
class OpenoodV15(SeededProtocol):
    """All rows of the ID test list and of each OOD list; settings are chosen on two further lists, by AUROC.

    The ID set's config names these two lists as ``validation`` (ID images that are in no other list) and
    ``validation_ood``. Of a method's sweep every combination is tried, the first hyperparameter fastest; a strictly
    greater AUROC wins, so the first of the best. The accuracy on the ID test list is a metric of every cell.

    Source: Jingkang50/OpenOOD, ``openood/evaluation_api/evaluator.py``, of arXiv 2306.09301.

    Attributes:
        tune: ``published`` and ``aps`` choose as described; ``none`` scores every method as it is configured.
        sweeps: OpenOOD's lists of candidates, by method and hyperparameter, in its order; ``"low,high"`` names two
            whose values go together. A method without any is not tuned there.
    """

    convention: str = "openood"
    tune: Literal["published", "aps", "none"] = "published"
    sweeps: dict[str, dict[str, list[Any]]] = field(default_factory=dict)

    ranks_paper_scores = True

    def __post_init__(self) -> None:
        self._validation: tuple[ImageSet, ImageSet] | None = None

    @property
    def variant(self) -> str:
        """That methods are not tuned, where OpenOOD tunes."""
        return "" if self.wants_validation else "untuned"

    @property
    def wants_validation(self) -> bool:
        """Whether settings are chosen."""
        return self.tune != "none"

    def validate_on(self, inside: ImageSet, outside: ImageSet) -> None:
        """Takes note of the two validation sets."""
        self._validation = inside, outside

    def identity(self) -> dict[str, Any]:
        """All options that have an effect, with the pixels of the validation sets where they are used."""
        options = super().identity()
        if not self.wants_validation:
            del options["sweeps"]
            return options
        return {**options, "tune": "aps", "validation": [one.fingerprint for one in self._validation or ()]}

    def check(self, method: str, detector: Detector) -> None:
        """Refuses a sweep over what the method does not have, and a choice that nothing makes."""
        sweep = self.sweeps.get(method, {}) if self.wants_validation else {}
        swept = {name for names in sweep for name in names.split(",")}
        if unknown := swept - {*detector.hyperparameters(), *detector.grid()[0]}:
            raise ConfigError(f"protocol.sweeps.{method}: the method has no {sorted(unknown)[0]}")
        if not sweep and (count := len(detector.grid())) != 1:
            raise ConfigError(
                f"method {method} has {count} candidate settings, and OpenOOD does not tune it here",
                "give one value for each of its hyperparameters, or name its lists in protocol.sweeps",
            )

    def check_sets(self, id_test: ImageSet, ood: ImageSet) -> None:
        """Refuses a run without validation sets where settings are chosen on them."""
        if self.wants_validation and self._validation is None:
            raise ConfigError(
                f"protocol {self.name} chooses settings on validation sets of their own, and the config of "
                f"{id_test.name} has no `validation` and `validation_ood`",
                _REMEDY,
            )

    def seen(self, method: str, detector: Detector, id_test: ImageSet, ood: ImageSet) -> Sequence[View]:
        """All validation rows, where there is a choice."""
        if self._validation is None or len(self.settings(method, detector)) == 1:
            return ()
        return [View(images) for images in self._validation]

    def settings(self, method: str, detector: Detector) -> list[dict[str, Any]]:
        """The candidates in the order in which OpenOOD tries them, the first list fastest."""
        sweep: Mapping[str, list[Any]] = self.sweeps.get(method, {}) if self.wants_validation else {}
        if not sweep:
            return detector.grid()
        possible = getattr(detector, "possible", lambda _: True)
        return [setting for setting in _combinations(sweep) if possible(setting)] or detector.grid()

    def run(self, method: str, detector: Detector, scorer: Scorer, id_test: ImageSet, ood: ImageSet) -> Outcome:
        """Chooses a setting, scores all rows, and adds the network's accuracy."""
        settings = self.settings(method, detector)
        if seen := self.seen(method, detector, id_test, ood):
            words = " and ".join(f"all {len(view):,} rows of {view.images.title} (validation list)" for view in seen)
            choice = search(detector, scorer, seen, words, AUROC, candidates=settings)
        else:
            choice = Choice(settings[0])
        views = View(id_test), View(ood)
        outcome = outcome_of(detector, scorer, choice, views, "all rows of both test lists", paper=True)
        accuracy = float(scorer.classifier.card["id_accuracy"])
        return replace(outcome, also_measured={"id_accuracy": accuracy})


def _combinations(sweep: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Every combination of the lists, the first list fastest; ``"low,high"`` names values that go together.

    >>> _combinations({"a": [1, 2], "low,high": [[3, 4]]})
    [{'a': 1, 'low': 3, 'high': 4}, {'a': 2, 'low': 3, 'high': 4}]
    """
    combinations = product(**dict(reversed(list(sweep.items()))))
    return [dict(pair for name in sweep for pair in _pairs(name, one[name])) for one in combinations]


def _pairs(name: str, value: Any) -> list[tuple[str, Any]]:
    names = name.split(",")
    return list(zip(names, value if len(names) > 1 else [value], strict=True))
