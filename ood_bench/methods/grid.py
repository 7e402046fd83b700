"""Candidates of a method's hyperparameters, and the settings that they make together."""

import itertools
from collections.abc import Sequence

from ood_bench.errors import ConfigError


def product(**candidates: Sequence[float]) -> list[dict[str, float]]:
    """Every combination of the candidates, the first hyperparameter in the outermost loop, in the order given.

    Args:
        candidates: values by the hyperparameter's name in a setting, such as ``epsilon``.
    """
    return [dict(zip(candidates, values, strict=True)) for values in itertools.product(*candidates.values())]


def refuse_steps(method: str, magnitudes: Sequence[float], temperatures: Sequence[float] | None = None) -> None:
    """Raises a :class:`ConfigError` for magnitudes or temperatures that are none, or impossible numbers."""
    if not magnitudes or min(magnitudes) < 0:
        raise ConfigError(f"method {method}: magnitudes must be one or more numbers of at least 0")
    if temperatures is not None and (not temperatures or min(temperatures) <= 0):
        raise ConfigError(f"method {method}: temperatures must be one or more numbers above 0")
