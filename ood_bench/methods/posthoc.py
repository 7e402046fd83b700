"""Bases of detectors that need one clean pass through one network: a method writes ``score`` and is done."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Detector, Networks, Quantity, Scorer, Setting, View, at_every
from ood_bench.methods.grid import product
from ood_bench.models.classifier import Classifier
from ood_bench.models.heads import DECOMPOSED, LINEAR, LinearHead, head_of
from ood_bench.scoring.quantities import LOGITS, Mean
from ood_bench.training.spec import TrainingSpec


class RowsDetector(Detector):
    """A score of one quantity's rows. To write: :meth:`quantity`, :meth:`score`, and :meth:`learn` if it learns."""

    published_grid: ClassVar[Mapping[str, Sequence[Any]]] = {}
    """Candidates of hyperparameters, by name, among which the authors or OpenOOD choose; see :meth:`candidates`."""

    _learned_from = ""
    _of_test: tuple[tuple[str, ...], Array] | None = None

    @abstractmethod
    def quantity(self, classifier: Classifier) -> Quantity:
        """What is scored."""

    @abstractmethod
    def score(self, rows: Array, /) -> Array:
        """Scores ``[n]``, higher for ID, of rows ``[n, D]``, float64."""

    def learn(self, rows: Array, labels: npt.NDArray[np.int64], /) -> None:
        """Learns from rows ``[N, D]``, float64, and labels ``[N]`` of the ID training images; by default nothing.

        What it learns is kept in attributes that are not fields.
        """

    @property
    def learns(self) -> bool:
        """Whether :meth:`learn` does anything."""
        return type(self).learn is not RowsDetector.learn

    def candidates(self) -> list[dict[str, Any]]:
        """Every possible combination of :attr:`published_grid`, the first hyperparameter in the outermost loop."""
        return [one for one in product(**self.published_grid) if self.possible(one)] or self.grid()

    def possible(self, setting: Setting) -> bool:
        """Whether a setting suits the training images and the network; known after :meth:`fit`, by default always."""
        return True

    def quantities(self, classifier: Classifier) -> Sequence[Quantity]:
        """What is scored."""
        return (self.quantity(classifier),)

    def fit_quantities(self, classifier: Classifier) -> Sequence[Quantity]:
        """What is scored, if the method learns from it."""
        return self.quantities(classifier) if self.learns else ()

    def rows(self, scorer: Scorer, view: View) -> Array:
        """What :meth:`learn` and :meth:`score` get of a view: rows ``[n, D]`` of :meth:`quantity`, float64."""
        return scorer.rows(view, self.quantity(scorer.classifier))

    def learned_rows(self, scorer: Scorer) -> View:
        """The training images from which :meth:`learn` learns; by default all."""
        return View(scorer.train)

    def fit(self, scorer: Scorer, random: np.random.RandomState) -> None:
        """Calls :meth:`learn`, once for each classifier and its training images.

        Raises:
            ConfigError: if the training images have no labels.
        """
        if not self.learns:
            return
        train, learned_from = scorer.train, f"{scorer.classifier.key}-{scorer.train.fingerprint}"
        if learned_from == self._learned_from:
            return
        if train.labels is None:
            raise ConfigError(f"{type(self).__name__} learns from labels, and {train.name} has none")
        view = self.learned_rows(scorer)
        self.learn(self.rows(scorer, view), train.labels if view.rows is None else train.labels[view.rows])
        self._learned_from = learned_from

    def raw_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """:meth:`score` of the view's rows at each setting, ``[len(settings), n, 1]``.

        Those of the ID test images are kept, read-only: every OOD set asks for them again.
        """
        if view.images is not scorer.test:
            return self._raw_scores(scorer, view, settings)
        state = repr(self.hyperparameters()), repr(settings)
        key = (scorer.classifier.key, scorer.train.fingerprint, view.fingerprint, *state)
        if self._of_test is None or self._of_test[0] != key:
            scores = self._raw_scores(scorer, view, settings)
            scores.flags.writeable = False
            self._of_test = key, scores
        return self._of_test[1]

    def _raw_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        rows = self.rows(scorer, view)
        if not any(settings):
            return at_every(settings, self.score(rows))
        return self.scores_at(settings, scorer, rows)[:, :, None]

    def scores_at(self, settings: Sequence[Setting], scorer: Scorer, rows: Array) -> Array:
        """Scores ``[len(settings), n]`` of rows ``[n, D]`` with the hyperparameters of each setting, learned anew."""
        return np.stack([self._at(setting, scorer).score(rows) for setting in settings])

    def _at(self, setting: Setting, scorer: Scorer) -> "RowsDetector":
        """The method with the hyperparameters of a setting, fitted."""
        if all(getattr(self, name) == value for name, value in setting.items()):
            return self
        other = replace(self, **setting)  # type: ignore[type-var]
        other.fit(scorer, np.random.RandomState(0))
        return other


class LogitsDetector(RowsDetector):
    """A score of the logits ``[n, K]``. To write: :meth:`score`, and :meth:`learn` if it learns."""

    needs: ClassVar[tuple[str, ...]] = ("logits",)

    def quantity(self, classifier: Classifier) -> Quantity:
        """The logits."""
        return LOGITS


class FeaturesDetector(RowsDetector):
    """A score of the pooled features ``[n, D]``, those that feed the last linear layer.

    To write: :meth:`score`, and :meth:`learn` if it learns.
    """

    needs: ClassVar[tuple[str, ...]] = ("pooled features",)

    def quantity(self, classifier: Classifier) -> Quantity:
        """The penultimate tap, averaged over its positions."""
        return Quantity(classifier.penultimate, Mean())

    def tap_names(self, classifier: Classifier) -> Sequence[str]:
        """The tap of the features."""
        return (self.quantity(classifier).tap,)


class HeadDetector(FeaturesDetector):
    """A score of the pooled features and of the last layer ``W f + b``. To write: as for :class:`FeaturesDetector`.

    Both methods may use :attr:`weight`, :attr:`bias` and :meth:`logits`. A method which changes features or logits is a
    :class:`ood_bench.methods.shaping.ShapingDetector`.

    Attributes:
        weight: W, float64 ``[K, D]``.
        bias: b, float64 ``[K]``.
    """

    needs: ClassVar[tuple[str, ...]] = ("pooled features", "last layer")

    weight: Array
    bias: Array

    def networks(self, networks: Networks) -> list[TrainingSpec]:
        """The run's own network, whose head must be linear."""
        return [linear_headed(networks.base, type(self).__name__)]

    def fit(self, scorer: Scorer, random: np.random.RandomState) -> None:
        """Reads the last layer, then as :class:`FeaturesDetector`.

        Raises:
            ConfigError: if the pooled features are not what a last linear layer gets, or the training images have no
                labels.
        """
        self.weight, self.bias = scorer.engine.head(scorer.classifier, scorer.train)
        super().fit(scorer, random)

    def logits(self, features: Array) -> Array:
        """What the last layer makes of features ``[n, D]``: logits ``[n, K]``, float64."""
        return LinearHead(self.weight, self.bias).logits(features)


def linear_headed(spec: TrainingSpec, method: str) -> TrainingSpec:
    """The network's specification, if its logits are those of one linear layer.

    Raises:
        ConfigError: if it has another one.
    """
    if (head := head_of(spec.model)) in DECOMPOSED:
        raise ConfigError(f"method {method} needs model.head={LINEAR}, not {head}")
    return spec
