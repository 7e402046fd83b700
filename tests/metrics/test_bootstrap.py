import numpy as np
import pytest

from ood_bench.metrics import exact
from ood_bench.metrics.bootstrap import intervals, resample
from ood_bench.metrics.curve import Curve, MetricError


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
