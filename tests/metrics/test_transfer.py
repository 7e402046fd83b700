"""A threshold that is set on some rows, and its rates on others."""

import numpy as np
import pytest
from scipy.stats import binomtest

from ood_bench.metrics import Measure, measure_selective
from ood_bench.metrics.curve import MetricError
from ood_bench.metrics.transfer import Rate, halves, rate, transferred


@pytest.mark.parametrize(("hits", "rows"), [(0, 7), (7, 7), (1, 1), (0, 1), (4, 9), (9500, 10000), (3, 26032)])
def test_the_interval_is_the_exact_binomial_one(hits, rows):
    expected = binomtest(hits, rows).proportion_ci(0.95, method="exact")
    assert rate(hits, rows) == pytest.approx(Rate(hits / rows, expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(
    ("validation", "tpr", "threshold"), [([*range(20)], 0.95, 1), ([5, 5, 1], 0.5, 5), ([3], 0.95, 3)]
)
def test_the_highest_threshold_that_keeps_enough_validation_rows(validation, tpr, threshold):
    """On the grid of halves the rates say which threshold it was; a row at it is accepted."""
    grid = np.arange(-1, 25, 0.5)
    ids, oods = transferred(validation, grid, [threshold - 0.5, threshold], tpr)
    assert ids.value == np.mean(grid >= threshold)
    assert oods.value == 0.5


def test_by_default_every_second_row_sets_the_threshold():
    scores = np.array([3.0, 9.0, 2.0, 0.0, 1.0, 8.0])
    assert [part.tolist() for part in halves(scores)] == [[3.0, 2.0, 1.0], [9.0, 0.0, 8.0]]
    found = measure_selective(scores, [2.0, 0.5, 1.0, 0.0])
    assert found["tpr95_transferred"] == Measure(*(100 * end for end in rate(2, 3)))
    assert found["fpr95_transferred"] == Measure(*(100 * end for end in rate(2, 4)))
    given = measure_selective(scores[1::2], [2.0, 0.5, 1.0, 0.0], validation=scores[::2])
    assert {name: given[name] for name in found if name != "autc"} == {
        name: found[name] for name in found if name != "autc"
    }


def test_rows_that_set_the_threshold_themselves_keep_their_rate():
    ids = np.random.default_rng(0).normal(size=200)
    assert transferred(ids, ids, [0.0])[0].value == 0.95


def test_the_interval_covers_the_true_rate_of_the_threshold():
    """The share of misses over many draws of test rows is at most 5 %: normal scores, one validation."""
    random = np.random.default_rng(0)
    validation = random.normal(size=100)
    draws = [transferred(validation, random.normal(size=60), random.normal(size=10))[0] for _ in range(2000)]
    true = transferred(validation, random.normal(size=1_000_000), [0.0])[0].value
    assert np.mean([not one.low <= true <= one.high for one in draws]) <= 0.05


@pytest.mark.parametrize("rows", [[], [np.nan]])
def test_validation_rows_must_be_there_and_ranked(rows):
    with pytest.raises(MetricError, match="ID scores"):
        measure_selective([1.0], [0.0], validation=rows)
