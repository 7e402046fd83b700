"""Temperature scaling: maximum softmax probability at the temperature that fits labels best."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import logsumexp, softmax

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array
from ood_bench.methods.posthoc import LogitsDetector
from ood_bench.papers.methods import Source

_log = logging.getLogger(__name__)
_ROWS = 8192


@dataclass
class TempScale(LogitsDetector):
    """``max_k softmax(z / T)_k`` of the logits z, at the T that minimises the mean of ``-log softmax(z / T)_y``.

    y is the label, and the mean is over ID images. It is convex in 1 / T, and at its minimum the mean of ``z_y`` equals
    that of ``sum_k p_k z_k``, p the softmax at T: T is the root of that equation. Where every image is classified
    rightly, the mean falls for T to 0, and T is 0.

    The score is T times the log-odds of the largest probability. It ranks alike, does not saturate, and goes for T to 0
    to the largest logit less the second largest, which it is at T = 0.

    Differences: the paper fits T on validation images, as OpenOOD and pytorch-ood do; a method may learn from training
    images only, which a network fits better than others, so that T comes out smaller. OpenOOD and pytorch-ood minimise
    by 50 iterations of L-BFGS at a learning rate of 0.01 (the authors' code by 200), from T = 1.5 (pytorch-ood: 1),
    which may end before the minimum.
    """

    source = Source(
        title="On Calibration of Modern Neural Networks",
        authors="Guo et al.",
        venue="ICML",
        year=2017,
        arxiv="1706.04599",
        code="github.com/gpleiss/temperature_scaling",
        licence="MIT",
    )

    def deviations(self) -> list[str]:
        """Where the temperature comes from."""
        return [
            "The temperature is fitted on ID training images, and is 0 where all of them are classified rightly; the "
            "paper takes validation images."
        ]

    def findings(self) -> dict[str, Any]:
        """The temperature."""
        return {"temperature": self._temperature}

    def learn(self, logits: Array, labels: npt.NDArray[np.int64], /) -> None:
        """The temperature.

        Raises:
            ConfigError: if the labels' logits are no larger than others on average, so that T would be infinite.
        """
        right = logits[np.arange(len(logits)), labels]
        if right.mean() <= logits.mean():
            raise ConfigError(
                "method temp_scale: logits of the labels are no larger than those of other classes on average over the "
                "ID training images, so that no temperature is best",
                "train for longer, or use method=msp",
            )
        self._temperature = 0.0
        if (right < logits.max(axis=1)).any():
            self._temperature = 1 / _root(lambda inverse: _expected(inverse, logits) - float(right.mean()))
        else:
            _log.warning(
                "temp_scale: all %d ID training images are classified rightly; the temperature is 0", len(right)
            )

    def score(self, logits: Array) -> Array:
        """T times the log-odds of the largest probability at T."""
        rest = logits.copy()
        winner = logits.argmax(axis=1)[:, None]
        np.put_along_axis(rest, winner, -np.inf, axis=1)
        gaps = np.take_along_axis(logits, winner, axis=1) - rest
        if self._temperature == 0:
            return np.asarray(gaps.min(axis=1))
        return np.asarray(-self._temperature * logsumexp(-gaps / self._temperature, axis=1))


def _expected(inverse: float, logits: Array) -> float:
    """Mean of ``sum_k p_k z_k`` over rows ``[n, K]``, p the softmax at a temperature of ``1 / inverse``."""
    parts = (logits[first : first + _ROWS] for first in range(0, len(logits), _ROWS))
    return float(sum((softmax(inverse * part, axis=1) * part).sum() for part in parts) / len(logits))


def _root(slope: Callable[[float], float]) -> float:
    """Where a function that grows from below 0 to above crosses it, to float64's last digits; above 0."""
    low = high = 1.0
    while slope(low) > 0:
        low /= 2
    while slope(high) < 0:
        high *= 2
    return low if low == high else float(brentq(slope, low, high, xtol=1e-15 * low, rtol=4 * np.finfo(np.float64).eps))
