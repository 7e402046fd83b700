"""Bases of detectors that need one clean pass through one network: a method writes ``score`` and is done."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Detector, Networks, Quantity, Scorer, Setting, View, at_every
from ood_bench.models.classifier import Classifier
from ood_bench.models.heads import LINEAR, head_of, last_linear
from ood_bench.scoring.quantities import LOGITS, Mean
from ood_bench.training.spec import TrainingSpec


class RowsDetector(Detector):
    """A score of one quantity's rows. To write: :meth:`quantity`, :meth:`score`, and :meth:`learn` if it learns."""

    _learned_from = ""

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

    def quantities(self, classifier: Classifier) -> Sequence[Quantity]:
        """What is scored."""
        return (self.quantity(classifier),)

    def fit_quantities(self, classifier: Classifier) -> Sequence[Quantity]:
        """What is scored, if the method learns from it."""
        return () if type(self).learn is RowsDetector.learn else self.quantities(classifier)

    def fit(self, scorer: Scorer, random: np.random.RandomState) -> None:
        """Calls :meth:`learn`, once for each classifier and its training images.

        Raises:
            ConfigError: if the training images have no labels.
        """
        if not self.fit_quantities(scorer.classifier):
            return
        train, learned_from = scorer.train, f"{scorer.classifier.key}-{scorer.train.fingerprint}"
        if learned_from == self._learned_from:
            return
        if train.labels is None:
            raise ConfigError(f"{type(self).__name__} learns from labels, and {train.name} has none")
        self.learn(scorer.rows(View(train), self.quantity(scorer.classifier)), train.labels)
        self._learned_from = learned_from

    def raw_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """:meth:`score` of the view's rows, ``[len(settings), n, 1]``."""
        return at_every(settings, self.score(scorer.rows(view, self.quantity(scorer.classifier))))


class LogitsDetector(RowsDetector):
    """A score of the logits ``[n, K]``. To write: :meth:`score`, and :meth:`learn` if it learns."""

    def quantity(self, classifier: Classifier) -> Quantity:
        """The logits."""
        return LOGITS


class FeaturesDetector(RowsDetector):
    """A score of the pooled features ``[n, D]``, those that feed the last linear layer.

    To write: :meth:`score`, and :meth:`learn` if it learns.
    """

    def quantity(self, classifier: Classifier) -> Quantity:
        """The penultimate tap, averaged over its positions."""
        return Quantity(classifier.penultimate, Mean())

    def tap_names(self, classifier: Classifier) -> Sequence[str]:
        """The tap of the features."""
        return (self.quantity(classifier).tap,)


class HeadDetector(FeaturesDetector):
    """A score of the pooled features and of the last layer ``W f + b``. To write: as for :class:`FeaturesDetector`.

    Both methods may use :attr:`weight`, :attr:`bias` and :meth:`logits`, so that a method which changes the features or
    the layer puts the score of any :class:`LogitsDetector` on top.

    Attributes:
        weight: W, float64 ``[K, D]``.
        bias: b, float64 ``[K]``.
    """

    weight: Array
    bias: Array

    def networks(self, networks: Networks) -> list[TrainingSpec]:
        """The run's own network, whose head must be linear."""
        return [linear_headed(networks.base, type(self).__name__)]

    def fit(self, scorer: Scorer, random: np.random.RandomState) -> None:
        """Reads the last layer, then as :class:`FeaturesDetector`.

        Raises:
            ConfigError: if the network has no linear layer, or the training images have no labels.
        """
        _, layer = last_linear(scorer.classifier.network)
        self.weight = layer.weight.detach().double().cpu().numpy()
        self.bias = np.zeros(len(self.weight)) if layer.bias is None else layer.bias.detach().double().cpu().numpy()
        super().fit(scorer, random)

    def logits(self, features: Array) -> Array:
        """What the last layer makes of features ``[n, D]``: logits ``[n, K]``, float64."""
        return np.asarray(features @ self.weight.T + self.bias)


def linear_headed(spec: TrainingSpec, method: str) -> TrainingSpec:
    """The network's specification, if it has the plain linear head.

    Raises:
        ConfigError: if it has another one.
    """
    if (head := head_of(spec.model)) != LINEAR:
        raise ConfigError(f"method {method} needs model.head={LINEAR}, not {head}")
    return spec
