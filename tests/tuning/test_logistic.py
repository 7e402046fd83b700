import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV

from ood_bench.tuning.logistic import Combination, fit_combination


def sample(seed=0, count=60, scales=(1.0, 30.0, 0.01), shift=0.8):
    random = np.random.default_rng(seed)
    inside, outside = (random.normal(way * shift, 1, (count, len(scales))) * scales for way in (1, -1))
    return inside, outside


def stacked(inside, outside):
    labels = np.concatenate([np.ones(len(inside), dtype="int32"), np.zeros(len(outside), dtype="int32")])
    return np.concatenate((inside, outside)), labels


def test_the_regression_stops_after_a_hundred_iterations_as_the_scripts_does():
    """Distances of very different scale, far from 0, as FSSD's are: more iterations give another regression."""
    scales = np.array([1e3, 30, 1, 0.03, 0.001])
    inside, outside = (rows + 50 * scales for rows in sample(0, scales=tuple(scales)))
    coefficients = {}
    for iterations in (100, 200):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = LogisticRegressionCV(random_state=42, scoring="accuracy", max_iter=iterations)
            coefficients[iterations] = theirs.fit(*stacked(inside, outside)).coef_[0]
    ours = fit_combination(inside, outside).coefficients
    np.testing.assert_allclose(ours, coefficients[100], rtol=1e-9)
    assert not np.allclose(ours, coefficients[200], rtol=0.1)


def test_decision_ranks_like_probability_and_keeps_ranking_where_that_saturates():
    combination = Combination(np.array([1.0]), 0.0, 1.0)
    rows = np.sort(np.random.default_rng(0).uniform(-900, 900, (400, 1)), axis=0)
    decision, probability = combination.decision(rows), combination.probability(rows)
    assert (np.diff(decision) > 0).all()
    assert (np.diff(probability) >= 0).all()
    assert (probability == 1).sum() > 1
    assert (probability == 0).sum() > 1
    middle = np.abs(rows[:, 0]) < 30
    assert (np.diff(probability[middle]) > 0).all()


def test_warnings_about_convergence_are_kept_quiet_and_others_are_not():
    inside, outside = sample(5, scales=(1e5, 1.0, 1e-5), shift=0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_combination(inside, outside)
    with pytest.warns(ConvergenceWarning):
        LogisticRegression(C=1e4, max_iter=3).fit(*stacked(inside, outside))
