import itertools

import numpy as np
import pytest

from ood_bench.metrics import exact, fssd
from ood_bench.metrics.curve import Curve, MetricError

NAMES = ("auroc", "auprc", "aupr_out", "fpr95", "fpr80", "tnr95", "tnr80", "detection_accuracy")


def area(points: list[tuple[float, float]]) -> float:
    return sum((right[0] - left[0]) * (left[1] + right[1]) / 2 for left, right in itertools.pairwise(points))


def precision_recall(walk: list[bool]) -> list[tuple[float, float]]:
    points, hits = [], 0
    for seen, hit in enumerate(walk, start=1):
        hits += hit
        points.append((hits / sum(walk), hits / seen))
    return points


def reference(walk: list[bool]) -> dict[str, float]:
    """The formulas as loops over a list that says, from the highest score down, which rows are ID."""
    n_id, n_ood = sum(walk), len(walk) - sum(walk)
    curve = [(0.0, 0.0)]
    for accepted in range(1, len(walk) + 1):
        tp = sum(walk[:accepted])
        curve.append(((accepted - tp) / n_ood, tp / n_id))
    fpr95, fpr80 = (next(fpr for fpr, tpr in curve if tpr >= level) for level in (0.95, 0.8))
    accuracy = max((tpr + 1 - fpr) / 2 for fpr, tpr in curve[1:])
    auprc, aupr_out = area(precision_recall(walk)), area(precision_recall([not row for row in walk[::-1]]))
    values = (area(curve), auprc, aupr_out, fpr95, fpr80, 1 - fpr95, 1 - fpr80, accuracy)
    return {name: 100 * value for name, value in zip(NAMES, values, strict=True)}


@pytest.mark.parametrize("seed", range(20))
def test_distinct_scores_agree_with_the_loops(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n_id, n_ood = generator.integers(1, 60, size=2)
    ids, oods = generator.normal(1, 1, n_id), generator.normal(0, 1, n_ood)
    walk = [is_id for _, is_id in sorted([(s, True) for s in ids] + [(s, False) for s in oods], reverse=True)]
    assert fssd.metrics(ids, oods, seed=seed) == pytest.approx(reference(walk), abs=1e-9)


def test_tied_scores_take_every_order_that_a_permutation_can_give() -> None:
    # Score 2: one ID. Score 1: one ID and two OOD, in any order. Score 0: one ID, one OOD, in any order.
    orders = [
        [True, *upper, *lower]
        for upper in set(itertools.permutations([True, False, False]))
        for lower in set(itertools.permutations([True, False]))
    ]
    expected = {tuple(round(v, 9) for v in reference(order).values()) for order in orders}
    drawn = [fssd.metrics([2, 1, 0], [1, 1, 0], seed=seed) for seed in range(80)]
    assert {tuple(round(v, 9) for v in values.values()) for values in drawn} == expected


def test_ties_are_broken_evenly() -> None:
    ids, oods = np.repeat([2.0, 1.0], [30, 10]), np.repeat([1.0, 0.0], [15, 5])
    drawn = [fssd.metrics(ids, oods, seed=seed)["auroc"] for seed in range(200)]
    assert np.std(drawn) > 0.5
    assert np.mean(drawn) == pytest.approx(100 * exact.auroc(Curve.of(ids, oods)), abs=0.3)


def test_depends_on_the_seed_but_not_on_the_order_of_rows() -> None:
    generator = np.random.default_rng(0)
    ids, oods = generator.integers(1, 6, 50), generator.integers(0, 5, 70)
    first = fssd.metrics(ids, oods, seed=3)
    assert fssd.metrics(ids, oods, seed=3) == first
    assert fssd.metrics(generator.permutation(ids), generator.permutation(oods), seed=3) == first
    assert fssd.metrics(ids, oods, seed=4) != first


def test_close_to_the_exact_metrics_on_distinct_scores() -> None:
    generator = np.random.default_rng(0)
    ids, oods = generator.normal(1, 1, 5000), generator.normal(0, 1, 7000)
    own, curve = fssd.metrics(ids, oods), Curve.of(ids, oods)
    for name in ("auroc", "aupr_out", "fpr95", "fpr80", "tnr95", "tnr80", "detection_accuracy"):
        assert own[name] == pytest.approx(100 * exact.metrics(curve)[name], abs=0.03), name
    assert own["auprc"] == pytest.approx(100 * exact.aupr_in(curve), abs=0.03)


def test_nan_is_refused() -> None:
    with pytest.raises(MetricError, match="NaN"):
        fssd.metrics([np.nan], [0.0])
