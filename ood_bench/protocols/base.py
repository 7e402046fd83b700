"""What a protocol is asked for, and what it answers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np

from ood_bench.data.imageset import ImageSet, Rows
from ood_bench.methods.base import Array, Detector, Scorer, Setting, View
from ood_bench.tuning.search import Choice
from ood_bench.utils.build import Strict, build


@dataclass(frozen=True)
class Outcome:
    """Scores of one method on one pair of sets, and how they came about.

    Attributes:
        id_scores: float64 ``[n_id]``, higher for ID, free of artificial ties.
        ood_scores: float64 ``[n_ood]``.
        setting: the setting that was scored.
        rows: which rows are scored, in words.
        tuned_on: what the choice of settings or weights saw, in words; ``"nothing"`` if nothing.
        convention_scores: ID and OOD scores for the paper's metric convention, where its code ranks other numbers
            than ``id_scores`` and ``ood_scores``, such as probabilities that tie at 1.
        convention_options: options of the metric convention.
        tuning: what the record says of the tuning, or none.
        id_rows: int64 ``[n_id]``, which rows of the ID test set were scored; not needed where it is all of them.
        ood_rows: int64 ``[n_ood]``, the same of the OOD set.
        also_measured: other numbers of the paper's table, in percent, by name, such as accuracies.
        notes: what else the record should say of this cell, a sentence each.
    """

    id_scores: Array
    ood_scores: Array
    setting: Mapping[str, float]
    rows: str
    tuned_on: str = "nothing"
    convention_scores: tuple[Array, Array] | None = None
    convention_options: Mapping[str, Any] = field(default_factory=dict)
    tuning: Mapping[str, Any] | None = None
    id_rows: Rows | None = None
    ood_rows: Rows | None = None
    also_measured: Mapping[str, float] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass
class Protocol(Strict, ABC):
    """Base of all protocols; a subclass is a dataclass whose fields are its options.

    Attributes:
        name: name in records and tables.
        convention: name of the metric convention, see :mod:`ood_bench.metrics`.
        methods: hyperparameters that the protocol fixes, by method name; they beat ``conf/method``.
        deviations: known differences from the paper that the protocol itself brings, a sentence each.
        method_deviations: the same for single methods.
    """

    name: str
    convention: str = "exact"
    methods: dict[str, dict[str, Any]] = field(default_factory=dict)
    deviations: list[str] = field(default_factory=list)
    method_deviations: dict[str, list[str]] = field(default_factory=dict)

    revision: ClassVar[int] = 1
    """Raised whenever the same options come to mean other numbers for every method; older records no longer count."""

    ranks_paper_scores: ClassVar[bool] = False
    """Whether the convention ranks :meth:`~ood_bench.methods.base.Detector.paper_scores`."""

    @property
    def variant(self) -> str:
        """What the names of methods in tables are followed by under these options; by default nothing."""
        return ""

    def attach(self, sets: Mapping[str, ImageSet]) -> None:
        """Takes note of the run's OOD sets, by config name, before anything is trained.

        Raises:
            ConfigError: if a set that the protocol needs is not among them.
        """

    @property
    def wants_validation(self) -> bool:
        """Whether the run opens the ID set's own validation sets for :meth:`validate_on`; by default not."""
        return False

    def validate_on(self, inside: ImageSet, outside: ImageSet) -> None:
        """Takes note of ``validation`` and ``validation_ood`` of the ID set's config, if both are there."""

    def identity(self) -> dict[str, Any]:
        """Everything of the protocol that determines a cell's numbers, JSON-able: all options but the words."""
        options = asdict(self)
        for wordy in ("methods", "deviations", "method_deviations"):
            del options[wordy]
        return options if self.revision == 1 else {**options, "revision": self.revision}

    @abstractmethod
    def check(self, method: str, detector: Detector) -> None:
        """Refuses, before anything is trained, what the protocol cannot do.

        Raises:
            ConfigError: if the detector does not fit the protocol.
        """

    @abstractmethod
    def check_sets(self, id_test: ImageSet, ood: ImageSet) -> None:
        """Refuses, before anything is trained, sets that are too small.

        Raises:
            ConfigError: if there are too few rows.
        """

    def scored(self, method: str, detector: Detector, id_test: ImageSet, ood: ImageSet) -> tuple[View, View]:
        """The rows of both sets that are scored; all of them, unless a protocol says otherwise."""
        return View(id_test), View(ood)

    def seen(self, method: str, detector: Detector, id_test: ImageSet, ood: ImageSet) -> Sequence[View]:
        """The rows that the choice among a detector's settings, or of their combination, sees; none by default."""
        return ()

    def convention_options(self, method: str, setting: Setting, ranked: tuple[Array, Array]) -> Mapping[str, Any]:
        """Options of the metric convention for a method's scores, ID and OOD; by default none."""
        return {}

    @abstractmethod
    def generator(self, ood: ImageSet) -> np.random.RandomState:
        """The generator from which detectors draw when they are fitted for a cell with this OOD set."""

    @abstractmethod
    def run(self, method: str, detector: Detector, scorer: Scorer, id_test: ImageSet, ood: ImageSet) -> Outcome:
        """Tunes and scores one fitted detector on one pair of sets."""


@dataclass
class SeededProtocol(Protocol):
    """A protocol under which what detectors draw depends on no image set.

    Attributes:
        seed: seeds what detectors draw when they are fitted.
    """

    seed: int = 0

    def generator(self, ood: ImageSet) -> np.random.RandomState:
        """A fresh generator with the protocol's seed, whatever the OOD set."""
        return np.random.RandomState(self.seed)


def outcome_of(
    detector: Detector, scorer: Scorer, choice: Choice, views: tuple[View, View], rows: str, *, paper: bool = False
) -> Outcome:
    """Scores rows of the ID test set and of the OOD set with a chosen setting.

    Args:
        detector: the fitted detector.
        scorer: classifiers and engine.
        choice: the setting, and what it was chosen on.
        views: the rows.
        rows: the same in words.
        paper: whether the convention ranks what papers' code ranks, where the detector tells that apart.
    """
    detector.calibrate(scorer, choice.setting)
    id_scores, ood_scores = (detector.scores(scorer, view, choice.setting) for view in views)
    return Outcome(
        id_scores,
        ood_scores,
        choice.setting,
        rows,
        choice.tuned_on,
        convention_scores=detector.paper_ranking(scorer, views, choice.setting) if paper else None,
        tuning=choice.record,
        id_rows=views[0].rows,
        ood_rows=views[1].rows,
        notes=choice.notes,
    )


def build_protocol(config: Mapping[str, Any], tune: str) -> Protocol:
    """Makes the protocol that a ``conf/protocol`` file describes.

    Args:
        config: ``_target_`` and the options.
        tune: name of the tuning rule, as in ``conf/tune``.

    Raises:
        ConfigError: if the class is unknown or no protocol, a key is unknown, or a value has the wrong type.
    """
    return build(f"protocol {config.get('name', '')}".rstrip(), Protocol, {**config, "tune": tune})  # type: ignore[type-abstract]
