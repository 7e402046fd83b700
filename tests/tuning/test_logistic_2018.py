import numpy as np
import pytest

from ood_bench.tuning.logistic_2018 import STRENGTHS, fit_combination_2018


@pytest.fixture
def pair():
    random = np.random.default_rng(0)
    return random.normal(0.5, 1, (50, 3)), random.normal(-0.5, 1, (52, 3))


def test_classes_that_lie_apart_take_the_first_of_the_strengths(pair):
    assert fit_combination_2018(pair[0] + 50, pair[1] - 50).strength == STRENGTHS[0]


def test_minus_the_probability_of_ood_tells_sure_rows_apart(pair):
    ours = fit_combination_2018(*pair)
    rows = np.outer(np.arange(80, 120, 2), np.sign(ours.coefficients))
    assert len(np.unique(ours.probability(rows))) < len(np.unique(ours.ood_probability(rows))) == 20
    middle = pair[0]
    np.testing.assert_allclose(ours.ood_probability(middle), 1 - ours.probability(middle), rtol=1e-9)
