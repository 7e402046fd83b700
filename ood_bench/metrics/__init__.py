"""Metrics of OOD detection: exact ones from one sort, the papers' own conventions, and bootstrap intervals.

Scores are always higher for ID, results are percent here and fractions in :mod:`~ood_bench.metrics.exact`.
:func:`measure` is what the pipeline calls; :func:`evaluate` gives one convention's numbers without intervals.
"""

from typing import Any, NamedTuple

import numpy.typing as npt

from ood_bench.metrics import exact
from ood_bench.metrics.bootstrap import intervals
from ood_bench.metrics.conventions import convention_named, evaluate
from ood_bench.metrics.curve import Curve, MetricError

__all__ = [
    "Curve",
    "Measure",
    "MetricError",
    "convention_named",
    "evaluate",
    "exact",
    "intervals",
    "measure",
]


class Measure(NamedTuple):
    """A metric in percent with its 95 % interval over the scored rows, if it has one."""

    value: float
    low: float | None = None
    high: float | None = None


def measure(
    convention: str,
    id_scores: npt.ArrayLike,
    ood_scores: npt.ArrayLike,
    *,
    resamples: int = 1000,
    seed: int = 0,
    **options: Any,
) -> tuple[dict[str, Measure], dict[str, Measure]]:
    """The metrics of a convention and the exact ones, in percent, with intervals.

    Only exact metrics are resampled. A metric of another convention takes over the interval of its exact twin (the
    metric of the same name; aupr_in for auprc), moved by the difference of the two values and kept within 0 to 100.

    Args:
        convention: name, one of :data:`~ood_bench.metrics.conventions.CONVENTIONS`.
        id_scores: ``[N_id]``, higher means more in-distribution.
        ood_scores: ``[N_ood]``, likewise.
        resamples: number of bootstrap resamples; 0 for no intervals.
        seed: of the resampling, and of the convention's tie-breaking where it has one.
        options: see :func:`evaluate`.

    Returns:
        The convention's own metrics, then the exact ones.

    Raises:
        MetricError: as :func:`evaluate`.
    """
    chosen = convention_named(convention)
    if "seed" in chosen.options:
        options["seed"] = seed
    own = evaluate(convention, id_scores, ood_scores, **options)
    curve = Curve.of(id_scores, ood_scores)
    bounds = intervals(curve, resamples=resamples, seed=seed) if resamples else {}
    exacts = {
        name: Measure(100 * value, *bounds.get(name, (None, None))) for name, value in exact.metrics(curve).items()
    }
    return {name: _moved(value, exacts.get(chosen.exact_twin(name) or "")) for name, value in own.items()}, exacts


def _moved(value: float, twin: Measure | None) -> Measure:
    if twin is None or twin.low is None or twin.high is None:
        return Measure(value)
    shift = value - twin.value
    low, high = (min(100.0, max(0.0, end + shift)) for end in (twin.low, twin.high))
    return Measure(value, low, high)
