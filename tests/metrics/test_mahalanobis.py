import itertools

import numpy as np
import numpy.typing as npt
import pytest

from ood_bench.metrics import exact, mahalanobis
from ood_bench.metrics.curve import Curve

Array = npt.NDArray[np.float64]


def area(points: list[tuple[float, float]]) -> float:
    return sum((right[0] - left[0]) * (left[1] + right[1]) / 2 for left, right in itertools.pairwise(points))


def reference(ids: Array, oods: Array) -> dict[str, float]:
    """Rejects one row after another, of equal scores the ID row first, and notes what is still accepted."""
    left_id, left_ood = sorted(ids), sorted(oods)
    states = [(len(left_id), len(left_ood))]
    while left_id or left_ood:
        reject_ood = not left_id or (left_ood and left_ood[0] < left_id[0])
        (left_ood if reject_ood else left_id).pop(0)
        states.append((len(left_id), len(left_ood)))
    n_id, n_ood = states[0]
    rates = [(tp / n_id, fp / n_ood) for tp, fp in states]
    _, fpr95 = min(rates, key=lambda rate: abs(rate[0] - 0.95))
    accepting = [(tp / n_id, tp / (tp + fp)) for tp, fp in states if tp + fp]
    rejecting = [
        (1 - fp / n_ood, (n_ood - fp) / (n_id - tp + n_ood - fp)) for tp, fp in states if tp + fp < len(states) - 1
    ]
    fractions = {
        "auroc": -area([(tpr, 1 - fpr) for tpr, fpr in rates]),
        "aupr_in": -area([(1.0, 0.5), *accepting, (0.0, 0.0)]),
        "aupr_out": area([(0.0, 0.0), *rejecting, (1.0, 0.5)]),
        "tnr95": 1 - fpr95,
        "detection_accuracy": max((tpr + 1 - fpr) / 2 for tpr, fpr in rates),
    }
    return {name: 100 * value for name, value in fractions.items()}


def test_agrees_with_the_loop(any_scores: tuple[Array, Array]) -> None:
    assert mahalanobis.metrics(*any_scores) == pytest.approx(reference(*any_scores), abs=1e-9)


def test_agrees_with_the_loop_at_the_extremes(extreme_scores: tuple[Array, Array]) -> None:
    assert mahalanobis.metrics(*extreme_scores) == pytest.approx(reference(*extreme_scores), abs=1e-9)


def test_ties_count_against_id() -> None:
    values = mahalanobis.metrics([1.0, 1.0], [1.0, 1.0])
    assert values["auroc"] == 0
    assert values["aupr_in"] == pytest.approx(100 * (0.5 * (1 / 2 + 1 / 3) / 2 + 0.5 * (1 / 3 + 0) / 2))


def test_nearest_tpr_may_lie_below_95_percent_and_counts_ood_between_the_rows() -> None:
    # Of 17 ID rows 16 are 94.1 %, nearer to 95 % than all 17; one OOD row lies just above the rejected ID row.
    ids, oods = np.arange(1.0, 18), [0.5, 1.5, 1.7, 8.5]
    assert mahalanobis.metrics(ids, oods)["tnr95"] == 25
    assert exact.fpr_at_tpr(Curve.of(ids, oods), 0.95) == 0.75
    assert exact.fpr_at_tpr(Curve.of(ids, oods), 0.94) == 0.25
