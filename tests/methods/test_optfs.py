import numpy as np
import pytest
from last_layer import learner
from scipy.special import logsumexp

from ood_bench.errors import ConfigError
from ood_bench.methods.optfs import OptFs

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(3, 8)), RANDOM.normal(size=3)
TRAIN, ROWS = RANDOM.exponential(size=(200, 8)), RANDOM.exponential(size=(40, 8)) * 2
learned = learner(OptFs, TRAIN, WEIGHT, BIAS)


def predicted_weights(rows):
    return WEIGHT[(rows @ WEIGHT.T + BIAS).argmax(axis=1)]


def slow(bins):
    """Bin by bin, as the paper writes it: the weighted features of ROWS."""
    left, right = np.quantile(TRAIN, [0.001, 0.999])
    width = (right - left) / bins
    edges = [left + number * width for number in range(bins)]

    def within(rows, edge):
        return rows * (rows >= edge) * (rows < edge + width)

    weights = predicted_weights(TRAIN)
    added = [np.mean((weights * within(TRAIN, edge)).sum(axis=1)) for edge in edges]
    length = np.sqrt(sum(value**2 for value in added))
    weighted = np.zeros_like(ROWS)
    for edge, value in zip(edges, added, strict=True):
        weighted += 1000 * value / length * within(ROWS, edge)
    return weighted


@pytest.mark.parametrize("bins", [1, 10, 100])
def test_both_of_the_authors_scores_against_the_formula(bins):
    weighted = slow(bins)
    expected = (weighted * predicted_weights(ROWS)).sum(axis=1)
    np.testing.assert_allclose(learned(bins=bins).score(ROWS), expected, rtol=1e-9)
    expected = logsumexp(weighted @ WEIGHT.T + BIAS, axis=1)
    np.testing.assert_allclose(learned(bins=bins, base="energy").score(ROWS), expected, rtol=1e-9)


def test_features_outside_the_quantiles_count_as_0():
    above = np.quantile(TRAIN, 0.999) <= ROWS
    assert above.any()
    np.testing.assert_array_equal(learned().score(np.full((1, 8), TRAIN.max() + 1)), [0])
    found = learned(base="energy")
    np.testing.assert_allclose(found.score(ROWS), found.score(np.where(above, 0, ROWS)), rtol=1e-12)


def test_the_norm_scales_the_score_and_the_order_of_units_leaves_it():
    np.testing.assert_allclose(learned(norm=10.0).score(ROWS) * 100, learned().score(ROWS), rtol=1e-12)
    order = RANDOM.permutation(8)
    permuted = learned(TRAIN[:, order], WEIGHT[:, order])
    np.testing.assert_allclose(permuted.score(ROWS[:, order]), learned().score(ROWS), rtol=1e-9)


def test_learning_in_blocks_gives_the_same(monkeypatch):
    expected = learned().score(ROWS)
    monkeypatch.setattr(OptFs, "values_at_once", 8 * 7)
    np.testing.assert_allclose(learned().score(ROWS), expected, rtol=1e-10)


def test_tables_name_the_base_unless_it_is_the_authors_own():
    assert [OptFs(base=base).variant for base in ("vanilla", "energy", "msp")] == ["", "with energy", "with msp"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": np.ones((5, 8))}, r"99\.8 % of the training images' features are 1: nothing to divide"),
        ({"weight": np.zeros((3, 8))}, "features add nothing to the predicted logits"),
    ],
)
def test_what_cannot_work_is_refused(changes, message):
    with pytest.raises(ConfigError, match=f"method optfs: .*{message}"):
        learned(**changes)
