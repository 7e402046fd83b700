import numpy as np
import pytest

from ood_bench.metrics import outlier_exposure


def test_ten_draws_of_a_fifth_are_averaged():
    random = np.random.default_rng(0)
    ids, oods = random.normal(1, 1, 100), random.normal(0, 1, 30)
    draws = np.random.default_rng(3)
    every = [outlier_exposure.of_draw(ids, draws.choice(np.sort(oods), 20, replace=False)) for _ in range(10)]
    expected = {name: 100 * np.mean([one[name] for one in every]) for name in every[0]}
    assert outlier_exposure.metrics(ids, oods, seed=3) == pytest.approx(expected, abs=1e-9)
    assert outlier_exposure.metrics(ids, oods[::-1], seed=3) == outlier_exposure.metrics(ids, oods, seed=3)
    assert outlier_exposure.metrics(ids, oods, seed=4) != outlier_exposure.metrics(ids, oods, seed=3)


def test_fewer_rows_than_a_draw_takes_are_all_used_once():
    ids, oods = np.random.default_rng(0).normal(1, 1, 100), np.linspace(-2, 2, 20)
    whole = {name: 100 * value for name, value in outlier_exposure.of_draw(ids, oods).items()}
    assert outlier_exposure.metrics(ids, oods) == pytest.approx(whole, abs=1e-12)


def test_the_class_ratio_is_that_of_a_draw():
    ids, oods = np.arange(100.0), np.arange(400.0) % 100
    assert outlier_exposure.metrics(ids, oods)["auprc_out_ratio_1to5"] < 30  # 1 to 5, where all rows would give 80
