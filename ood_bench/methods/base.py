"""What every detector offers to the runner, and what the runner offers to every detector."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np

from ood_bench.data.imageset import Array, ImageSet
from ood_bench.data.views import View
from ood_bench.models.classifier import Classifier
from ood_bench.papers.methods import Source
from ood_bench.scoring.engine import Bank, Engine
from ood_bench.scoring.perturb import Steps
from ood_bench.scoring.quantities import OUTPUT, Quantity
from ood_bench.training.spec import TrainingSpec
from ood_bench.utils.build import Strict, build
from ood_bench.utils.source import own_source

__all__ = [
    "Array",
    "Detector",
    "Networks",
    "Quantity",
    "Scorer",
    "Setting",
    "Steps",
    "View",
    "at_every",
    "build_detector",
]

Setting = Mapping[str, float]


@dataclass(frozen=True)
class Networks:
    """The networks that a detector may ask for, before any of them is trained.

    Attributes:
        base: the plain classifier of the run.
        variants: other networks of the same model, by name, as in ``conf/model``.
        outliers: outlier images, if the method's config names some.
        validation: images to choose the epoch on, if the method's config names some.
    """

    base: TrainingSpec
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outliers: ImageSet | None = None
    validation: ImageSet | None = None


@dataclass(frozen=True)
class Scorer:
    """What a detector scores with: its trained classifiers and the engine that runs them.

    Attributes:
        engine: makes and keeps banks.
        classifiers: in the order of :meth:`Detector.networks`.
        train: ID training images, with labels.
        test: ID test images, for the accuracy of several networks together; nothing is fitted on them.
    """

    engine: Engine
    classifiers: Sequence[Classifier]
    train: ImageSet
    test: ImageSet | None = None

    @property
    def classifier(self) -> Classifier:
        """The only, or the first, classifier."""
        return self.classifiers[0]

    def bank(self, view: View, quantities: Iterable[Quantity], network: int = 0) -> Bank:
        """Rows ``[n, D]`` of each quantity for the view, from one shared pass over the view's whole set."""
        whole = self.engine.collect(self.classifiers[network], view.images, quantities)
        return {quantity: view.of(rows) for quantity, rows in whole.items()}

    def rows(self, view: View, quantity: Quantity, network: int = 0) -> Array:
        """Rows ``[n, D]`` of one quantity for the view, float64."""
        return self.bank(view, (quantity,), network)[quantity].astype(np.float64)

    def stepped(self, view: View, steps: Sequence[Steps], network: int = 0) -> list[Array]:
        """Scores ``[*shape, n]`` after each of ``steps``, which share one clean forward pass."""
        return self.engine.stepped(self.classifiers[network], view, steps)


class Detector(Strict, ABC):
    """Scores images; **higher means more in-distribution**.

    A method is a dataclass; its fields are its hyperparameters, named and typed as in ``conf/method``. What to write:

    - A score of the logits or of the pooled features: one method, ``score``; see :mod:`ood_bench.methods.posthoc`.
    - A score of other taps: :meth:`quantities` names what the pass leaves behind, :meth:`raw_scores` scores it.
    - Something is learned from ID training images: :meth:`fit`, and :meth:`fit_quantities` for what it reads. It keeps
      what it learns in attributes that are not fields.
    - A choice of settings: :meth:`grid`, whose settings :meth:`raw_scores` gets.
    - Steps on the input: :meth:`steps`, whose scores :meth:`Scorer.stepped` gives; their identity has :meth:`kept_as`.
    - Several raw scores for an image, such as one for each tap: :meth:`final_scores`, and :meth:`calibrate` if ID
      images say how to combine them.
    - Networks of its own: :meth:`networks`.
    """

    revision: ClassVar[int] = 1
    """Raised whenever the same hyperparameters come to mean other numbers; older records and caches no longer count.

    Records of a class from outside the package no longer count when its code changes, either."""

    paper_revision: ClassVar[int] = 0
    """Above 0 where :meth:`paper_scores` are not the raw scores, and raised whenever they change."""

    source: ClassVar[Source | None] = None
    """The paper that the method is from, and its code."""

    needs: ClassVar[tuple[str, ...]] = ()
    """What it reads, in words: logits, pooled features, feature maps, gradients, networks or images of its own."""

    younger: ClassVar[frozenset[str]] = frozenset()
    """Hyperparameters that came after the method's first records: only values other than the default count in keys."""

    tunes_by_id: ClassVar[bool] = False
    """Whether ``tune=id_only`` may choose among the method's settings by the mean of :meth:`id_scores`."""

    @property
    def variant(self) -> str:
        """What the method's name in tables is followed by; empty for the plain method.

        By default whose definition it is, where the class has a field ``definition`` and it is not the default.
        """
        chosen = [item for item in fields(self) if item.name == "definition"]  # type: ignore[arg-type]
        found = [str(value) for item in chosen if (value := getattr(self, item.name)) != item.default]
        return f"as {found[0]}" if found else ""

    @property
    def scoring_classes(self) -> tuple[type, ...]:
        """The classes that score: the code of those from outside the package is part of the key of every cell."""
        return (type(self),)

    def kept_as(self, name: str) -> str:
        """What identities of arrays and steps say of the method: its revision, and the code of a class from outside."""
        return "-".join([name, str(self.revision), *own_source(self.scoring_classes).values()])

    @property
    def block(self) -> int:
        """Number of consecutive rows of a view that are scored jointly; 1 where each image is scored for itself."""
        return 1

    def deviations(self) -> list[str]:
        """Known differences from the paper that follow from the hyperparameters, a sentence each."""
        return []

    def tap_names(self, classifier: Classifier) -> Sequence[str]:
        """Taps that are read: those that cannot be are refused before anything is trained."""
        return [quantity.tap for quantity in self.fit_quantities(classifier) if quantity.tap != OUTPUT]

    def networks(self, networks: Networks) -> list[TrainingSpec]:
        """The classifiers that the method needs; by default the run's own."""
        return [networks.base]

    def variants(self, networks: Networks) -> list["Detector"]:
        """The detectors that the method's config stands for, told apart by :attr:`variant`; by default this one."""
        return [self]

    def fit_quantities(self, classifier: Classifier) -> Sequence[Quantity]:
        """What :meth:`fit` reads from the pass over the ID training images."""
        return ()

    def fit(self, scorer: Scorer, random: np.random.RandomState) -> None:
        """Learns what scoring needs from ID training images and from noise; never from OOD images.

        Args:
            scorer: classifiers and engine.
            random: the protocol's generator, for what the method draws.
        """

    def findings(self) -> dict[str, Any]:
        """What :meth:`fit` chose, JSON-able, for the record; laid over the hyperparameters there."""
        return {}

    def calibrate(self, scorer: Scorer, setting: Setting) -> None:
        """Learns, from ID training images only, how to combine several raw scores; comes before :meth:`final_scores`.

        Args:
            scorer: classifiers and engine.
            setting: the setting that will be scored.
        """

    def quantities(self, classifier: Classifier) -> Sequence[Quantity]:
        """What :meth:`raw_scores` reads from the shared clean pass; asked for after :meth:`fit`."""
        return ()

    def steps(self, scorer: Scorer, settings: Sequence[Setting]) -> Sequence[Steps]:
        """What :meth:`raw_scores` asks of :meth:`Scorer.stepped` at these settings, so that methods share a pass.

        Asked for after :meth:`fit`, of methods with one network.
        """
        return ()

    def grid(self) -> list[dict[str, float]]:
        """Candidate settings in the order in which they are tried; one if there is nothing to choose."""
        return [{}]

    def candidates(self) -> list[dict[str, Any]]:
        """Settings for a rule that brings none of its own, such as ``tune=aps``; by default :meth:`grid`."""
        return self.grid()

    @abstractmethod
    def raw_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """Raw scores of the view's images at each setting, each higher for ID.

        Args:
            scorer: classifiers and engine.
            view: the images.
            settings: some of :meth:`grid`; methods share work between them.

        Returns:
            float64 ``[len(settings), n, K]``; K is 1 for most methods, the number of taps for some.
        """

    def id_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """What ID-only tuning wants high on average: by default the score at each setting, ``[len(settings), n]``."""
        return np.stack([self.final_scores(one) for one in self.raw_scores(scorer, view, settings)])

    def scores(self, scorer: Scorer, view: View, setting: Setting) -> Array:
        """Final scores ``[n]`` of the view's images at one setting."""
        return self.final_scores(self.raw_scores(scorer, view, [setting])[0])

    def paper_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """What papers' code ranks, or feeds to a logistic regression: ``[len(settings), n, K]``.

        By default the raw scores. Softmax probabilities are given in float32, as the code computes them: many of them
        are exactly 1 and tie.
        """
        return self.raw_scores(scorer, view, settings)

    def paper_ranking(self, scorer: Scorer, views: Sequence[View], setting: Setting) -> tuple[Array, Array] | None:
        """What papers' code ranks of an ID and an OOD view at one setting; none where that is :meth:`scores`."""
        if self.paper_revision == 0:
            return None
        inside, outside = (self.final_scores(self.paper_scores(scorer, view, [setting])[0]) for view in views)
        return inside, outside

    def final_scores(self, raw_scores: Array) -> Array:
        """One score ``[n]`` from raw scores ``[n, K]``, without having seen any OOD image."""
        if raw_scores.shape[1] != 1:
            raise ValueError(f"{type(self).__name__} must say how it combines {raw_scores.shape[1]} raw scores")
        return raw_scores[:, 0]

    def hyperparameters(self) -> dict[str, Any]:
        """All hyperparameters by name, JSON-able, but for :attr:`younger` ones at their default."""
        known = [item for item in fields(self) if item.init]  # type: ignore[arg-type]
        values = {item.name: (getattr(self, item.name), item.default) for item in known}
        return {name: now for name, (now, default) in values.items() if name not in self.younger or now != default}


def at_every(settings: Sequence[Setting], scores: Array) -> Array:
    """Raw scores ``[len(settings), n, K]`` that are the same at every setting, from ``[n]`` or ``[n, K]``."""
    return np.stack([scores if scores.ndim == 2 else scores[:, None]] * len(settings))


def build_detector(name: str, config: Mapping[str, Any]) -> Detector:
    """Makes the detector that a ``conf/method`` file describes.

    Args:
        name: the method's name, for messages.
        config: ``_target_`` and the hyperparameters.

    Raises:
        ConfigError: if the class is unknown or no detector, a key is unknown, or a value has the wrong type.
    """
    settings = {key: value for key, value in config.items() if key not in ("outliers", "validation")}
    return build(f"method {name}", Detector, settings)  # type: ignore[type-abstract]
