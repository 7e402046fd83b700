"""Metrics of OOD detection: exact ones from one sort, the papers' own conventions, and bootstrap intervals.

Beside them stand metrics of classifying and rejecting together, and of a threshold that is set on other rows. Scores
are always higher for ID, results are percent here and fractions in the modules. :func:`measure` and
:func:`measure_selective` are what the pipeline calls; :func:`evaluate` gives one convention's numbers alone.
"""

from typing import Any, Final, NamedTuple

import numpy.typing as npt

from ood_bench.metrics import exact, selective, transfer
from ood_bench.metrics.bootstrap import intervals
from ood_bench.metrics.conventions import convention_named, evaluate
from ood_bench.metrics.curve import Curve, MetricError, checked_scores

__all__ = [
    "Curve",
    "Measure",
    "MetricError",
    "convention_named",
    "evaluate",
    "exact",
    "intervals",
    "measure",
    "measure_selective",
]

SELECTIVE: Final = (*selective.NAMES, *transfer.NAMES)
"""Names of what :func:`measure_selective` gives, in order."""


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


def measure_selective(
    id_scores: npt.ArrayLike,
    ood_scores: npt.ArrayLike,
    *,
    correct: npt.ArrayLike | None = None,
    validation: npt.ArrayLike | None = None,
) -> dict[str, Measure]:
    """The metrics that need more than scores, in percent: correct predictions, or rows to set a threshold on.

    Args:
        id_scores: ``[N_id]``, higher means more in-distribution.
        ood_scores: ``[N_ood]``, likewise.
        correct: bool ``[N_id]``, whether the classifier's prediction is right, or none where that is not known.
        validation: scores ``[V]`` of further ID rows, on which the threshold is set; by default it is set on every
            second ID row, and tried on the others.

    Returns:
        Those of :data:`SELECTIVE` that the rows define. Only the rates of the threshold have intervals, over rows.

    Raises:
        MetricError: if the scores cannot be ranked, or ``correct`` is not a bool for each ID row.
    """
    found = {name: Measure(100 * value) for name, value in selective.metrics(id_scores, ood_scores, correct).items()}
    ids, oods = checked_scores(id_scores, ood_scores)
    rows, others = transfer.halves(ids) if validation is None else (validation, ids)
    if len(others):
        rates = transfer.transferred(rows, others, oods)
        found |= {name: Measure(*(100 * end for end in one)) for name, one in zip(transfer.NAMES, rates, strict=True)}
    return found


def _moved(value: float, twin: Measure | None) -> Measure:
    if twin is None or twin.low is None or twin.high is None:
        return Measure(value)
    shift = value - twin.value
    low, high = (min(100.0, max(0.0, end + shift)) for end in (twin.low, twin.high))
    return Measure(value, low, high)
