"""How well training images cover the states of units: what NAC-UE counts."""

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from ood_bench.data.imageset import Array, Rows32
from ood_bench.errors import ConfigError

_BASE = 1000.0
_VALUES = 2**20


def edges(count: int) -> Array:
    """Edges of the bins of states, ``[count]``, as in the authors' code: finer towards 1/2, the last two above 1."""
    low = np.log(np.linspace(1, _BASE**0.5, count // 2)) / np.log(_BASE)
    high = 1 - low[::-1]
    high[-1] += 0.01
    return np.concatenate([low[:-1], high, [1.2]])


def edges_to_the_ends(count: int) -> Array:
    """Edges of ``count`` bins, as pytorch-ood has them: finer towards 0 and 1, where the last reach to all states.

    The middle one is not 1/2 but, by rounding of float32, 3e-8 below: states of saturated images lie between the two.
    """
    middle = np.nextafter(np.float32(0.5), np.float32(0))
    low = np.geomspace(1e-6, float(middle), count // 2 + 1)[1:]
    return np.concatenate([[0.0], low, 1 - low[-2::-1], [1.2]])


class Coverage:
    """Coverage of the states ``sigmoid(steepness * v)`` of D units: ``min(n / full, 1)`` of each unit's bins.

    Args:
        values: v of the images that are counted, ``[N, D]``, float64 or float32.
        steepness: of the sigmoid.
        bounds: edges of the bins, ascending, around all states.
        full: how many images cover a bin fully.
    """

    def __init__(self, values: Array | Rows32, steepness: float, bounds: Array, full: int) -> None:
        self._steepness, self._bounds = steepness, bounds
        found = np.bincount(self._places(values).ravel(), minlength=values.shape[1] * len(bounds))
        self._covered = np.minimum(found / full, 1)

    def of(self, values: Array | Rows32) -> Array:
        """Mean coverage over the units, ``[n]``, of images with values ``[n, D]``; some rows at a time."""
        size = max(1, _VALUES // values.shape[1])
        parts = (values[first : first + size] for first in range(0, len(values), size))
        return np.concatenate([self._covered[self._places(part)].mean(axis=1) for part in parts])

    def _places(self, values: Array | Rows32) -> npt.NDArray[np.int64]:
        """Where each value's bin lies in a row of all units' bins, ``[n, D]``."""
        states = expit(self._steepness * values.astype(np.float64, copy=False))
        found = np.searchsorted(self._bounds, states, side="right") - 1
        return np.asarray(found + len(self._bounds) * np.arange(values.shape[1]))


def balanced(labels: npt.NDArray[np.int64], classes: int, images: int, seed: int, method: str) -> npt.NDArray[np.int64]:
    """Rows of at most ``images`` training images, as many of every class, drawn with a seed.

    Raises:
        ConfigError: if a class has no image, or ``images`` is below the number of classes.
    """
    counts = np.bincount(labels, minlength=classes)
    if counts.min() == 0:
        raise ConfigError(
            f"method {method}: no training image of class {counts.argmin()}", "use training images of every class"
        )
    each = min(images // classes, int(counts.min()))
    if each < 1:
        raise ConfigError(
            f"method {method}: images is {images}, and there are {classes} classes",
            f"set method.{method}.images to at least {classes}",
        )
    random = np.random.RandomState(seed)
    return np.concatenate([random.permutation(np.flatnonzero(labels == label))[:each] for label in range(classes)])
