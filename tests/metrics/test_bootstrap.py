import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ood_bench.metrics import bootstrap, exact
from ood_bench.metrics import draws as of_rows
from ood_bench.metrics.bootstrap import intervals, resample
from ood_bench.metrics.curve import Curve, MetricError
from ood_bench.metrics.draws import Draws, DrawStore
from ood_bench.metrics.screening import ERROR, Walk, complements


def pair(n_id: int, n_ood: int, *, decimals: int | None = None, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    ids, oods = generator.normal(1, 1, n_id), generator.normal(0, 1, n_ood)
    return (ids, oods) if decimals is None else (ids.round(decimals), oods.round(decimals))


@pytest.mark.parametrize("decimals", [None, 1, 0])
@pytest.mark.parametrize(("n_id", "n_ood"), [(1, 1), (5, 40), (60, 33)])
def test_a_resample_has_the_metrics_of_the_rows_drawn(n_id: int, n_ood: int, decimals: int | None) -> None:
    ids, oods = (np.sort(scores)[::-1] for scores in pair(n_id, n_ood, decimals=decimals))
    draws = [np.random.default_rng(seed) for seed in (1, 1, 2, 2)]
    for _ in range(30):
        drawn = resample(Curve.of(ids, oods), draws[0], draws[2])
        rows = draws[1].integers(0, n_id, n_id, dtype=np.uint32), draws[3].integers(0, n_ood, n_ood, dtype=np.uint32)
        expected = exact.metrics(Curve.of(ids[rows[0]], oods[rows[1]]))
        assert exact.metrics(drawn) == pytest.approx(expected, abs=1e-12)


def one_by_one(curve: Curve, resamples: int, seed: int = 0) -> dict[str, tuple[float, float]]:
    """The intervals with every resample measured by itself."""
    ids, oods = np.random.default_rng(seed).spawn(2)
    values = np.array([list(exact.metrics(resample(curve, ids, oods)).values()) for _ in range(resamples)])
    low, high = 100 * np.quantile(values, bootstrap.ENDS, axis=0)
    return dict(zip(exact.NAMES, zip(low, high, strict=True), strict=True))


SHAPES = {
    "overlapping": (pair(900, 700), 600),
    "some ties": (pair(800, 900, decimals=1), 600),
    "many ties": (pair(300, 500, decimals=0), 300),
    "half at one score": (tuple(np.maximum(side, 0.5) for side in pair(400, 300)), 300),
    "one row each": (pair(1, 1), 40),
    "one ID row": (pair(1, 50), 251),
    "one OOD row": (pair(50, 1), 41),
    "all tied": ((np.zeros(40), np.zeros(30)), 60),
    "separated": ((np.arange(400) + 500.0, np.arange(400.0)), 300),
    "nearly separated": ((np.arange(400) + 398.0, np.arange(400.0)), 300),
    "the wrong way round": ((np.arange(100.0), np.arange(90) + 100.0), 60),
    "infinities": ((np.r_[np.inf, pair(60, 1)[0]], np.r_[-np.inf, np.inf, pair(1, 60)[1]]), 100),
    "one resample": (pair(60, 33), 1),
    "two resamples": (pair(60, 33), 2),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_intervals_are_those_of_resamples_measured_one_by_one(shape: str) -> None:
    scores, resamples = SHAPES[shape]
    curve = Curve.of(*scores)
    assert intervals(curve, resamples=resamples, seed=3) == one_by_one(curve, resamples, seed=3)


def test_large_sets_give_the_same_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_DRAWS", DrawStore())
    curve = Curve.of(*pair(9000, 70_000))
    tracemalloc.start()
    found = intervals(curve, resamples=505)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6
    assert found == one_by_one(curve, 505)


@pytest.mark.parametrize("decimals", [None, 1, 0])
@pytest.mark.parametrize(("n_id", "n_ood"), [(1, 3), (700, 40), (300, 900)])
def test_screening_keeps_its_error_bound(n_id: int, n_ood: int, decimals: int | None) -> None:
    curve = Curve.of(*pair(n_id, n_ood, decimals=decimals))
    ids, oods = np.random.default_rng(0).spawn(2)
    drawn = [Draws.of(side, random.bit_generator.state, 90) for side, random in ((n_id, ids), (n_ood, oods))]
    found = complements(Walk.over(curve), *drawn)
    exacts = [exact.metrics(resample(curve, ids, oods)) for _ in range(90)]
    for name, values in found.items():
        np.testing.assert_allclose(values, [1 - one[name] for one in exacts], rtol=ERROR, atol=1e-15, err_msg=name)


def test_kept_draws_change_nothing_in_threads_or_without_room(monkeypatch: pytest.MonkeyPatch) -> None:
    curves = [Curve.of(*pair(n, 80, seed=n)) for n in (50, 60, 50, 70)]
    expected = [intervals(curve, resamples=300) for curve in curves]
    for limit in (0, 150_000):  # the smaller leaves room for none, the other for a few
        monkeypatch.setattr(bootstrap, "_DRAWS", DrawStore(limit))
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda curve: intervals(curve, resamples=300), curves * 3)) == expected * 3


@pytest.mark.parametrize("limit", [100_000, 10_000_000])  # packed, and as they are
def test_draws_are_made_once_for_as_many_rows(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made, make = [], of_rows.accepted_draws
    monkeypatch.setattr(bootstrap, "_DRAWS", DrawStore(limit))
    monkeypatch.setattr(of_rows, "accepted_draws", lambda rows, generator: made.append(rows) or make(rows, generator))
    for seed in range(3):
        curve = Curve.of(*pair(50, 80, seed=seed))
        assert intervals(curve, resamples=300) == one_by_one(curve, 300)
    assert (made.count(50), made.count(80), len(made)) == (300, 300, 600)


def test_intervals_agree_with_resampling_row_by_row() -> None:
    ids, oods = pair(300, 500, decimals=1)
    generator = np.random.default_rng(7)
    slow = []
    for _ in range(2000):
        drawn = Curve.of(generator.choice(ids, 300), generator.choice(oods, 500))
        slow.append([100 * value for value in exact.metrics(drawn).values()])
    expected = np.quantile(slow, (0.025, 0.975), axis=0).T
    for (name, found), (low, high) in zip(
        intervals(Curve.of(ids, oods), resamples=2000).items(), expected, strict=True
    ):
        slack = 0.1 * (high - low)
        assert found == (pytest.approx(low, abs=slack), pytest.approx(high, abs=slack)), name


def test_names_and_order_are_those_of_the_exact_metrics() -> None:
    found = intervals(Curve.of(*pair(20, 30)), resamples=10)
    assert tuple(found) == exact.NAMES
    assert all(0 <= low <= high <= 100 for low, high in found.values())


def test_depends_on_the_seed_but_not_on_the_order_of_rows() -> None:
    ids, oods = pair(50, 70, decimals=1)
    first = intervals(Curve.of(ids, oods), resamples=50, seed=1)
    assert intervals(Curve.of(ids, oods), resamples=50, seed=1) == first
    assert intervals(Curve.of(ids[::-1], oods[::-1]), resamples=50, seed=1) == first
    assert intervals(Curve.of(ids, oods), resamples=50, seed=2) != first


def test_more_rows_are_narrower() -> None:
    def width(n: int) -> float:
        low, high = intervals(Curve.of(*pair(n, n)), resamples=200)["auroc"]
        return high - low

    assert width(1600) == pytest.approx(width(100) / 4, rel=0.5)


def test_no_resamples_are_refused() -> None:
    with pytest.raises(MetricError, match="at least 1"):
        intervals(Curve.of([1.0], [0.0]), resamples=0)
