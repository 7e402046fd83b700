import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ood_bench.errors import OodBenchError
from ood_bench.metrics.curve import Curve, MetricError, trapezoid

scores = st.lists(st.sampled_from([-np.inf, -2.5, -0.0, 0.0, 1e-300, 1.0, np.inf]), min_size=1, max_size=12)
steady = settings(deadline=None)  # other work on the machine must not fail a test


@steady
@given(scores, scores)
def test_counts_are_those_of_a_plain_count(ids: list[float], oods: list[float]) -> None:
    curve = Curve.of(ids, oods)
    assert curve.thresholds.tolist() == sorted(set(ids) | set(oods), reverse=True)
    assert curve.tp.tolist() == [sum(score >= t for score in ids) for t in curve.thresholds]
    assert curve.fp.tolist() == [sum(score >= t for score in oods) for t in curve.thresholds]
    assert (curve.n_id, curve.n_ood) == (len(ids), len(oods))
    assert curve.tp.dtype == curve.fp.dtype == np.int64


@steady
@given(scores, scores)
def test_flipped_is_the_curve_of_the_negated_scores(ids: list[float], oods: list[float]) -> None:
    flipped = Curve.of(ids, oods).flipped()
    direct = Curve.of(-np.array(oods), -np.array(ids))
    for name in ("thresholds", "tp", "fp", "n_id", "n_ood"):
        assert np.array_equal(getattr(flipped, name), getattr(direct, name)), name


def test_float32_and_integer_scores_are_taken_as_they_are() -> None:
    curve = Curve.of(np.array([0.1, 0.2], dtype=np.float32), [1, 2])
    assert curve.thresholds.tolist() == [2.0, 1.0, float(np.float32(0.2)), float(np.float32(0.1))]


@pytest.mark.parametrize(
    ("ids", "oods", "message"),
    [
        ([], [1.0], "no ID scores"),
        ([1.0], [], "no OOD scores"),
        ([[1.0]], [1.0], "ID scores have shape"),
        ([1.0], 1.0, "OOD scores have shape"),
        ([1.0, np.nan], [1.0], "1 of 2 ID scores are NaN"),
        ([1.0], [np.nan], "1 of 1 OOD scores are NaN"),
    ],
)
def test_scores_without_a_rank_are_refused(ids: list[float], oods: list[float], message: str) -> None:
    with pytest.raises(MetricError, match=message) as caught:
        Curve.of(ids, oods)
    assert isinstance(caught.value, OodBenchError)


def test_trapezoid() -> None:
    x, y = np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 4.0])
    assert trapezoid(x, y) == 7.0
    assert trapezoid(x[::-1], y[::-1]) == -7.0
