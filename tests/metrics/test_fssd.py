import itertools

import numpy as np
import pytest

from ood_bench.metrics import exact, fssd
from ood_bench.metrics.curve import Curve, MetricError


def test_tied_scores_take_every_order_that_a_permutation_can_give() -> None:
    # Score 2: one ID. Score 1: one ID and two OOD, in any order. Score 0: one ID, one OOD, in any order.
    orders = [
        [True, *upper, *lower]
        for upper in set(itertools.permutations([True, False, False]))
        for lower in set(itertools.permutations([True, False]))
    ]
    places = [[(6 - place, is_id) for place, is_id in enumerate(order)] for order in orders]
    distinct = [[[score for score, kind in order if kind is is_id] for is_id in (True, False)] for order in places]
    expected = {tuple(round(v, 9) for v in fssd.metrics(*pair).values()) for pair in distinct}
    assert len(expected) > 3
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
