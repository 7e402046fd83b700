"""Mahalanobis distance to the nearest class mean in feature space, with optional input steps and several taps."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Quantity, Scorer, Setting, Steps, View, at_every
from ood_bench.methods.grid import SteppingDetector
from ood_bench.methods.ranges import Magnitudes
from ood_bench.models.classifier import Classifier
from ood_bench.papers.methods import Source
from ood_bench.scoring.perturb import Perturbation, sign
from ood_bench.scoring.quantities import Mean
from ood_bench.scoring.taps import named_taps


@dataclass(frozen=True)
class Gaussians:
    """Class means and one shared covariance of one tap.

    Attributes:
        whitening: float64 ``[D, R]``: columns span the directions that vary, scaled to unit variance.
        means: float64 ``[K, D]``: class means.
    """

    whitening: Tensor
    means: Tensor

    @property
    def precision(self) -> Tensor:
        """Pseudo-inverse of the covariance, float64 ``[D, D]``."""
        return self.whitening @ self.whitening.T

    @functools.cached_property
    def _white_means(self) -> Tensor:
        """Class means in whitened coordinates, ``[K, R]``."""
        return self.means @ self.whitening

    @classmethod
    def fit(cls, features: Array, labels: np.ndarray, classes: int, what: str = "the features") -> "Gaussians":
        """Estimates means and tied covariance (divided by N) from features ``[N, D]`` and labels ``[N]``.

        The inverse is a pseudo-inverse: directions whose variance is below 1e6 times float64's rounding unit of the
        largest one are left out, as ``scipy.linalg.pinvh`` did before SciPy 1.7 (the papers' code ran on 1.1 to 1.4).
        Since 1.7 its cut-off is D times the unit, which lets directions of mere rounding in and gives other scores.
        Channels that never vary fall out; channels that seldom do stay in.

        Raises:
            ConfigError: if a class has no row, or no direction of the features (``what``, for the message) varies
                within classes by more than rounding.
        """
        if empty := np.flatnonzero(np.bincount(labels, minlength=classes) == 0).tolist():
            names = ", ".join(map(str, empty[:5])) + (" and others" if len(empty) > 5 else "")
            raise ConfigError(
                f"{what}: no training image of class {names}, so that it has no mean",
                "use training images of every class",
            )
        means = np.stack([features[labels == label].mean(axis=0) for label in range(classes)])
        centred = features - means[labels]
        variances, axes = np.linalg.eigh(centred.T @ centred / len(features))
        if variances[-1] <= (64 * np.finfo(np.float64).eps * np.abs(features).max()) ** 2:
            raise ConfigError(
                f"{what} do not vary within classes: no distance can be measured",
                "use more than one training image a class, or another tap",
            )
        kept = variances > variances[-1] * 1e6 * np.finfo(np.float64).eps
        whitening = axes[:, kept] / np.sqrt(variances[kept])
        return cls(torch.from_numpy(whitening), torch.from_numpy(means))

    def confidences(self, features: Tensor) -> Tensor:
        """Minus half the squared Mahalanobis distance to every class, float64 ``[B, K]``, of features ``[B, D]``."""
        white = features.double() @ self.whitening.to(features.device)
        means = self._white_means.to(features.device)
        squares = white.square().sum(dim=1, keepdim=True) + means.square().sum(dim=1)
        return white @ means.T - 0.5 * squares


@dataclass
class Mahalanobis(SteppingDetector):
    """``max_c -1/2 (f - mu_c)' P (f - mu_c)`` per tap, f the spatial mean of each channel.

    With a magnitude, each tap gets its own step ``x - epsilon * sign(grad of minus that confidence) / std``, the
    nearest class held fixed, sign(0) = +1.

    The default looks at the penultimate tap without a step, which needs no OOD image.

    Attributes:
        magnitudes: candidates for epsilon, in raw [0, 1] pixels.
        taps: names of taps; ``[all]`` for every tap of the model; ``[stages]`` for the ends of its stages; empty for
            the penultimate one.
    """

    magnitudes: Magnitudes = field(default_factory=lambda: [0.0])
    taps: list[str] = field(default_factory=list)

    source = Source(
        title="A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks",
        authors="Lee et al.",
        venue="NeurIPS",
        year=2018,
        arxiv="1807.03888",
        code="github.com/pokaxpoka/deep_Mahalanobis_detector",
        licence="none stated",
    )
    needs = ("feature maps", "ID training images", "input gradients (for steps)")

    revision = 2
    tunes_by_id = True

    def __post_init__(self) -> None:
        self.fitted: dict[str, Gaussians] = {}
        self._fitted_on = ""

    def tap_names(self, classifier: Classifier) -> Sequence[str]:
        """The taps."""
        return named_taps(classifier, self.taps) or [classifier.penultimate]

    def fit_quantities(self, classifier: Classifier) -> Sequence[Quantity]:
        """Channel means of each tap."""
        return [Quantity(tap, Mean()) for tap in self.tap_names(classifier)]

    def quantities(self, classifier: Classifier) -> Sequence[Quantity]:
        """Channel means of each tap, if some magnitude is 0."""
        return self.fit_quantities(classifier) if 0 in self.magnitudes else ()

    def fit(self, scorer: Scorer, random: np.random.RandomState) -> None:
        """Class means and tied covariance of every tap, from the un-augmented ID training images."""
        labels = scorer.train.labels
        if labels is None:
            raise ConfigError(f"method mahalanobis: {scorer.train.name} has no labels to estimate class means from")
        fitted_on = f"{scorer.classifier.key}-{scorer.train.fingerprint}"
        if fitted_on == self._fitted_on:
            return
        bank = scorer.bank(View(scorer.train), self.fit_quantities(scorer.classifier))
        classes = int(labels.max()) + 1
        self.fitted = {
            quantity.tap: Gaussians.fit(
                rows.astype(np.float64), labels, classes, f"method mahalanobis: features of tap {quantity.tap}"
            )
            for quantity, rows in bank.items()
        }
        self._fitted_on = fitted_on

    def raw_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """Confidence of every tap, ``[len(settings), n, taps]``."""
        if steps := self.steps(scorer, settings):
            return np.stack([scores[0] for scores in scorer.stepped(view, steps)], axis=2)
        bank = scorer.bank(view, self.fit_quantities(scorer.classifier))
        columns = [self._confidence(tap.tap, torch.from_numpy(np.array(rows))) for tap, rows in bank.items()]
        return at_every(settings, np.stack([column.numpy() for column in columns], axis=1))

    def steps(self, scorer: Scorer, settings: Sequence[Setting]) -> Sequence[Steps]:
        """Each tap's own steps; none if every magnitude is 0."""
        magnitudes = [setting["epsilon"] for setting in settings]
        if not any(magnitudes):
            return ()
        return [self._tap_steps(scorer, tap, magnitudes) for tap in self.tap_names(scorer.classifier)]

    def _tap_steps(self, scorer: Scorer, tap: str, magnitudes: list[float]) -> Steps:
        step = Perturbation(
            quantity=Quantity(tap, Mean()),
            losses=[lambda rows: -self._confidence(tap, rows)],
            scores=[lambda rows: self._confidence(tap, rows)],
            rule=sign,
            direction=-1.0,
            batch_size=scorer.engine.batch_size(scorer.classifier),
        )
        identity = {"method": self.kept_as("mahalanobis"), "fitted_on": self._fitted_on, "tap": tap}
        return Steps(f"mahalanobis {tap}", identity, step, magnitudes)

    def _confidence(self, tap: str, features: Tensor) -> Tensor:
        """Confidence ``[B]`` of a tap's features ``[B, D]``: that of the nearest class."""
        return self.fitted[tap].confidences(features).amax(dim=1)

    def final_scores(self, raw_scores: Array) -> Array:
        """The only tap's confidence, or the plain sum over taps."""
        return np.asarray(raw_scores.sum(axis=1))
