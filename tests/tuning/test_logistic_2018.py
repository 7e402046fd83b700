import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from ood_bench.tuning.logistic_2018 import STRENGTHS, cross_validated, fit_combination_2018, minimised, objective


@pytest.fixture
def pair():
    random = np.random.default_rng(0)
    return random.normal(0.5, 1, (50, 3)), random.normal(-0.5, 1, (52, 3))


def stacked(pair):
    return np.concatenate(pair), np.arange(102) < 50


def test_the_gradient_agrees_with_finite_differences(pair):
    rows, is_id = stacked(pair)
    weights, shift = np.array([0.3, -0.2, 0.5, 0.1]), 1e-6
    _, gradient = objective(rows, is_id, 0.5, weights)
    for place in range(4):
        step = shift * (np.arange(4) == place)
        ends = (objective(rows, is_id, 0.5, weights + way * step)[0] for way in (1, -1))
        assert gradient[place] == pytest.approx(-np.diff(list(ends))[0] / (2 * shift), rel=1e-5)


def test_the_optimum_is_scikit_learns(pair):
    """Which minimises the mean of the same losses: equal where nothing stops early."""
    rows, is_id = stacked(pair)
    theirs = LogisticRegression(C=0.5, tol=1e-12, max_iter=10_000).fit(rows, is_id)
    ours = minimised(rows, is_id, 0.5, np.zeros(4), tolerance=0)
    np.testing.assert_allclose(ours, np.append(theirs.coef_[0], theirs.intercept_), rtol=1e-5)


def test_each_class_is_cut_in_blocks_with_the_first_ones_longer(pair):
    """50 and 52 rows: 17, 17, 16 and 18, 17, 17; by hand for the strength of 1."""
    rows, is_id = stacked(pair)
    fold = np.repeat([0, 1, 2, 0, 1, 2], [17, 17, 16, 18, 17, 17])
    accuracy, weights = cross_validated(*pair, 3)
    assert accuracy.shape == (3, len(STRENGTHS))
    for number in range(3):
        kept = fold != number
        model = LogisticRegression(C=STRENGTHS[-1], tol=1e-12, max_iter=10_000).fit(rows[kept], is_id[kept])
        assert accuracy[number, -1] == model.score(rows[~kept], is_id[~kept])
        np.testing.assert_allclose(weights[number, -1, :-1], model.coef_[0], rtol=1e-2)


def test_the_first_of_the_best_strengths_is_refitted_on_all_rows(pair):
    ours = fit_combination_2018(*pair)
    accuracy, _ = cross_validated(*pair, 3)
    best = STRENGTHS[int(np.argmax(accuracy.sum(axis=0)))]
    assert ours.strength == best
    theirs = LogisticRegression(C=best, tol=1e-12, max_iter=10_000).fit(*stacked(pair))
    np.testing.assert_allclose(ours.coefficients, theirs.coef_[0], rtol=1e-2)
    separated = fit_combination_2018(pair[0] + 50, pair[1] - 50)
    assert separated.strength == STRENGTHS[0]


def test_minus_the_probability_of_ood_tells_sure_rows_apart(pair):
    ours = fit_combination_2018(*pair)
    rows = np.outer(np.arange(80, 120, 2), np.sign(ours.coefficients))
    assert len(np.unique(ours.probability(rows))) < len(np.unique(ours.ood_probability(rows))) == 20
    middle = pair[0]
    np.testing.assert_allclose(ours.ood_probability(middle), 1 - ours.probability(middle), rtol=1e-9)
