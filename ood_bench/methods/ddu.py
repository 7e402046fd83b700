"""DDU: density of the pooled features under one Gaussian for each class."""

import contextlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.special import logsumexp

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array
from ood_bench.methods.posthoc import FeaturesDetector
from ood_bench.papers.methods import Source
from ood_bench.utils.printable import listed

_VALUES, _LEAST = 1 << 21, -1e300
JITTERS = (0.0, float(np.finfo(np.float64).tiny), *(10.0**power for power in range(-308, 0)))
"""What may be added to the diagonals, in the order in which it is tried."""


@dataclass
class Ddu(FeaturesDetector):
    """``log sum_c pi_c N(f; mu_c, S_c + j I)``: f the pooled features, pi_c class c's share of the training images.

    mu_c and S_c (divided by n_c - 1) are mean and covariance of the class's training images. j is 0 if all S_c can be
    decomposed (Cholesky, float64), else the first of 2.2e-308, 1e-308, 1e-307 up to 0.1 at which all can.

    A class with no more images than features has no density without j, and neither has a unit that is always 0. What
    j comes to then depends on rounding, and it sets the scale of the score in these directions. Log densities of a
    class below -1e300 count as that.

    Differences: the authors' code leaves pi_c out of the sum, which is the same ranking where the classes are of one
    size. A j which changes no diagonal entry in float64 is not tried again. OpenOOD has no such detector.
    pytorch-ood 0.4's GMM divides by n_c and takes 1e-6 for j always.
    """

    source = Source(
        title="Deep Deterministic Uncertainty: A New Simple Baseline",
        authors="Mukhoti et al.",
        venue="CVPR",
        year=2023,
        arxiv="2102.11582",
        code="github.com/omegafragger/DDU",
        licence="MIT",
    )

    def deviations(self) -> list[str]:
        """That the network is a plain one."""
        return ["The network is trained as it is; the paper adds spectral normalisation and smoother activations."]

    def learn(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """Means, and what brings each class's features to unit covariance.

        Raises:
            ConfigError: if a class has fewer than two images, or its covariance cannot be decomposed.
        """
        counts = np.bincount(labels)
        if few := np.flatnonzero(counts < 2).tolist():
            raise ConfigError(
                f"method ddu: fewer than two training images of class {listed(map(str, few))}: no covariance",
                "use more training images of every class",
            )
        self._means = np.stack([features[labels == label].mean(axis=0) for label in range(len(counts))])
        self.jitter = 0.0
        for label in range(len(counts)):
            self.jitter = _jitter(np.cov(features[labels == label], rowvar=False), self.jitter)
        identity = np.eye(features.shape[1])
        self._whitening, halves = [], []
        for label in range(len(counts)):  # covariances again: all of them at once would take as much memory once more
            covariance = np.cov(features[labels == label], rowvar=False)
            factor = cholesky(covariance + self.jitter * identity, lower=True)
            self._whitening.append(solve_triangular(factor, identity, lower=True))
            halves.append(np.log(factor.diagonal()).sum())
        self._offsets = np.log(counts / len(labels)) - halves - features.shape[1] / 2 * np.log(2 * np.pi)

    def findings(self) -> dict[str, float]:
        """What was added to the diagonals."""
        return {"jitter": self.jitter}

    def score(self, features: Array) -> Array:
        """Log density of the features."""
        size = max(1, _VALUES // features.shape[1])
        return np.concatenate(
            [self._density(features[first : first + size]) for first in range(0, max(1, len(features)), size)]
        )

    def _density(self, features: Array) -> Array:
        logs = np.empty((len(self._means), len(features)))
        for label, (mean, whitening) in enumerate(zip(self._means, self._whitening, strict=True)):
            with np.errstate(over="ignore"):
                squares = (((features - mean) @ whitening.T) ** 2).sum(axis=1)
            logs[label] = np.maximum(self._offsets[label] - 0.5 * squares, _LEAST)
        return np.asarray(logsumexp(logs, axis=0))


def _jitter(covariance: Array, least: float) -> float:
    """The first of :data:`JITTERS`, from ``least`` on, with which a covariance ``[D, D]`` can be decomposed.

    Raises:
        ConfigError: if there is none.
    """
    covariance, tried = np.atleast_2d(covariance), np.empty(0)
    for jitter in JITTERS[JITTERS.index(least) :]:
        diagonal = covariance.diagonal() + jitter
        if np.array_equal(diagonal, tried):
            continue
        tried, matrix = diagonal, covariance.copy()
        np.fill_diagonal(matrix, diagonal)
        with contextlib.suppress(LinAlgError):
            cholesky(matrix, lower=True)
            return jitter
    raise ConfigError(
        "method ddu: the covariance of a class cannot be decomposed, even with 0.1 added to its diagonal",
        "are the features very large? Use a network whose features are smaller, or leave the method out",
    )
