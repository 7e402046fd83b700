from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from ood_bench.metrics import exact
from ood_bench.metrics.curve import Curve, MetricError

continuous = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=40)
tied = st.lists(st.integers(-2, 2).map(float), min_size=1, max_size=40)
pairs = st.tuples(continuous, continuous) | st.tuples(tied, tied) | st.tuples(continuous, tied)
steady = settings(deadline=None)  # other work on the machine must not fail a test
Pair = tuple[list[float], list[float]]


def labelled(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    ids, oods = pair
    return np.repeat([1, 0], [len(ids), len(oods)]), np.array(ids + oods)


@steady
@given(pairs)
def test_areas_agree_with_scikit_learn(pair: Pair) -> None:
    labels, scores = labelled(pair)
    curve = Curve.of(*pair)
    assert exact.auroc(curve) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert exact.aupr_in(curve) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    assert exact.aupr_out(curve) == pytest.approx(average_precision_score(1 - labels, -scores), abs=1e-12)


@steady
@given(pairs)
def test_points_of_the_curve_agree_with_scikit_learn(pair: Pair) -> None:
    labels, scores = labelled(pair)
    curve = Curve.of(*pair)
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    fpr_out, tpr_out, _ = roc_curve(1 - labels, -scores, drop_intermediate=False)
    for level in (0.8, 0.95, 1.0):
        expected = fpr[np.argmax(tpr >= level)]
        assert exact.fpr_at_tpr(curve, level) == pytest.approx(expected, abs=1e-12)
        expected = fpr_out[np.argmax(tpr_out >= level)]
        assert exact.fpr_at_tpr(curve.flipped(), level) == pytest.approx(expected, abs=1e-12)
    assert exact.detection_accuracy(curve) == pytest.approx((tpr + 1 - fpr).max() / 2, abs=1e-12)
    values = exact.metrics(curve)
    assert tuple(values) == exact.NAMES
    assert values["detection_error"] == pytest.approx((1 - tpr + fpr).min() / 2, abs=1e-12)
    for level in (80, 95):
        expected = exact.fpr_at_tpr(curve, level / 100)
        assert (values[f"fpr{level}"], values[f"tnr{level}"]) == (expected, 1 - expected)
    assert values["fpr95_ood_positive"] == exact.fpr_at_tpr(curve.flipped(), 0.95)


def test_worked_by_hand_with_ties() -> None:
    # Score 3: two ID. Score 2: one ID, one OOD. Score 1: one ID, one OOD. Score 0: two OOD.
    curve = Curve.of([3, 3, 2, 1], [2, 1, 0, 0])
    assert exact.auroc(curve) == (4 + 4 + 3.5 + 2.5) / 16
    assert exact.aupr_in(curve) == pytest.approx(2 / 4 * 1 + 1 / 4 * 3 / 4 + 1 / 4 * 4 / 6)
    assert exact.aupr_out(curve) == pytest.approx(2 / 4 * 1 + 1 / 4 * 3 / 4 + 1 / 4 * 4 / 6)
    assert exact.fpr_at_tpr(curve, 0.5) == 0
    assert exact.fpr_at_tpr(curve, 0.75) == 1 / 4
    assert exact.fpr_at_tpr(curve, 0.76) == 2 / 4
    assert exact.detection_accuracy(curve) == 0.75
    assert exact.fpr_at_tpr(curve.flipped(), 0.5) == 0
    assert exact.fpr_at_tpr(curve.flipped(), 0.75) == 1 / 4


def test_all_scores_equal() -> None:
    values = exact.metrics(Curve.of(np.ones(3), np.ones(7)))
    assert values["auroc"] == values["detection_error"] == values["detection_accuracy"] == 0.5
    assert (values["aupr_in"], values["aupr_out"]) == (pytest.approx(0.3), pytest.approx(0.7))
    assert values["fpr95"] == values["fpr95_ood_positive"] == 1


def test_infinite_scores_rank_like_any_other() -> None:
    finite = exact.metrics(Curve.of([9, 9, 1, -9], [9, 0, -9, -9]))
    assert exact.metrics(Curve.of([np.inf, np.inf, 1, -np.inf], [np.inf, 0, -np.inf, -np.inf])) == finite


@pytest.mark.parametrize("level", [0.1, 0.3, 0.55, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0])
def test_level_is_reached_by_whole_rows_without_rounding(level: float) -> None:
    decimal = Fraction(str(level))
    for rows in (1, 7, 20, 100, 9000, 10_000, 26_032, 10**12):
        needed = exact.rows_needed(level, rows)
        assert needed >= decimal * rows > needed - 1


def test_nine_thousand_rows_reach_95_percent_with_the_8550th() -> None:
    ids = np.arange(9000.0, 0, -1)
    assert ids[8549] == 451
    assert exact.fpr_at_tpr(Curve.of(ids, [451.0]), 0.95) == 1
    assert exact.fpr_at_tpr(Curve.of(ids, [450.5]), 0.95) == 0


@pytest.mark.parametrize("level", [0.0, -0.1, 1.01, float("nan")])
def test_level_that_is_no_fraction_is_refused(level: float) -> None:
    with pytest.raises(MetricError, match="above 0 and at most 1"):
        exact.fpr_at_tpr(Curve.of([1.0], [0.0]), level)
