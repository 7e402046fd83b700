"""CADRef: CARef's error in two parts, of which that towards the weights counts less for confident images."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array
from ood_bench.methods.caref import CADREF, Caref
from ood_bench.methods.gen import Gen
from ood_bench.methods.msp import log_max_softmax

_SMALLEST = 1e-6


@dataclass
class Cadref(Caref):
    """``-(e+ / S + e- / S_0)``: e+ the error of :mod:`.caref` where it has the sign of the weights, e- where not.

    With d = f - m_c, c the predicted class: e+ is the sum of |d_i| over the i where d_i and w_ci have the same sign,
    over ||f||_1; e- where they have opposite signs. S is a score of the image's logits, S_0 its mean over the ID
    training images. The two errors add up to CARef's, but for weights that are 0.

    Differences: in the authors' code a score of the logits below 0, as energies and largest logits may be, turns the
    sign of its term around; here S is at least 1e-6, and S_0 below that is refused. As for CARef, a class that is
    predicted for no training image is refused. With ``base=gen`` the authors take 1 - p of a rounded softmax, here it
    is exact: on confident networks S_0 moves by a tenth. OpenOOD and pytorch-ood 0.4 have no such detector.

    Attributes:
        base: S: ``energy``, logsumexp(z), the default of the authors' code; ``maxlogit``, max_k z_k; ``msp``, the
            largest probability; ``gen``, the inverse of GEN's generalised entropy at gamma 0.1 over the largest tenth
            of the probabilities, or 10 of them where that is more.
    """

    base: Literal["energy", "maxlogit", "msp", "gen"] = "energy"

    source = CADREF
    _name = "cadref"

    @property
    def variant(self) -> str:
        """The score of the logits, unless it is the energy."""
        return "" if self.base == "energy" else f"with {self.base}"

    def learn(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """Mean features by predicted class, and S_0; labels are not used.

        Raises:
            ConfigError: if a class is predicted for no training image, or S_0 is not above 0.
        """
        super().learn(features, labels)
        self._mean_score = self._score(self.logits(features)).mean()
        if self._mean_score < _SMALLEST:
            raise ConfigError(
                f"method cadref: {self.base} of ID training images is {self._mean_score:.3g} on average, and errors "
                "are divided by it: it must be above 0",
                "set method.cadref.base to msp or gen, which always are",
            )

    def score(self, features: Array) -> Array:
        """Minus the sum of the two scaled errors."""
        logits = self.logits(features)
        predicted = logits.argmax(axis=1)
        towards = self._relative(features, predicted)
        towards *= np.sign(self.weight)[predicted]
        with_weights, against = np.maximum(towards, 0).sum(axis=1), -np.minimum(towards, 0).sum(axis=1)
        scores = np.maximum(self._score(logits), _SMALLEST)
        return np.asarray(-(with_weights / scores + against / self._mean_score))

    def _score(self, logits: Array) -> Array:
        """S ``[n]`` of logits ``[n, K]``."""
        if self.base == "energy":
            return np.asarray(logsumexp(logits, axis=1))
        if self.base == "maxlogit":
            return np.asarray(logits.max(axis=1))
        if self.base == "msp":
            return np.exp(log_max_softmax(logits))
        return -1 / Gen(top=max(10, logits.shape[1] // 10)).score(logits)
