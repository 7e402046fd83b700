"""Methods that step on the input: candidates of their hyperparameters, and the settings that they make together."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ood_bench.methods.base import Array, Detector, Setting


class SteppingDetector(Detector):
    """A detector with candidates for a setting's ``epsilon``, and for its ``temperature`` if it has that field."""

    magnitudes: list[float]

    def grid(self) -> list[dict[str, float]]:
        """All combinations, magnitudes in the outer loop, in the order given."""
        fields = {"epsilon": "magnitudes", "temperature": "temperatures"}
        return product(**{name: getattr(self, field) for name, field in fields.items() if hasattr(self, field)})


def product(**candidates: Sequence[Any]) -> list[dict[str, Any]]:
    """Every combination of the candidates, the first hyperparameter in the outermost loop, in the order given.

    Args:
        candidates: values by the hyperparameter's name in a setting, such as ``epsilon``.
    """
    return [dict(zip(candidates, values, strict=True)) for values in itertools.product(*candidates.values())]


def axes(settings: Sequence[Setting]) -> tuple[list[float], list[float]]:
    """The temperatures and the magnitudes among some settings, each once."""
    temperatures, magnitudes = ([one[name] for one in settings] for name in ("temperature", "epsilon"))
    return list(dict.fromkeys(temperatures)), list(dict.fromkeys(magnitudes))


def picked(table: Array, settings: Sequence[Setting]) -> Array:
    """Scores of each setting, ``[len(settings), ...]``, from all over :func:`axes`, ``[T, epsilons, ...]``."""
    temperatures, magnitudes = axes(settings)
    places = [(temperatures.index(one["temperature"]), magnitudes.index(one["epsilon"])) for one in settings]
    return np.stack([table[place] for place in places])
