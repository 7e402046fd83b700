import functools

import numpy as np
import pytest
from last_layer import learner
from scipy.special import logsumexp, softmax

from ood_bench.errors import ConfigError
from ood_bench.methods.cadref import Cadref
from ood_bench.methods.caref import Caref

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(12, 8)), RANDOM.normal(size=12) + 2
TRAIN, ROWS = RANDOM.normal(size=(900, 8)) * 2, RANDOM.normal(size=(40, 8)) * 2
BASES = ["energy", "maxlogit", "msp", "gen"]
learned = learner(Cadref, TRAIN, WEIGHT, BIAS)


def predicted(row):
    return int((WEIGHT @ row + BIAS).argmax())


@functools.cache
def mean_of_class(label):
    return np.mean([row for row in TRAIN if predicted(row) == label], axis=0)


def confidence(row, base):
    """S for one image, as the authors' code has it."""
    logits = WEIGHT @ row + BIAS
    largest = np.sort(softmax(logits))[-10:]
    return {
        "energy": logsumexp(logits),
        "maxlogit": max(logits),
        "msp": largest[-1],
        "gen": 1 / sum(p**0.1 * (1 - p) ** 0.1 for p in largest),
    }[base]


@functools.cache
def average_confidence(base):
    return np.mean([confidence(one, base) for one in TRAIN])


def slow(row, base):
    """The formula for one image."""
    label = predicted(row)
    mean, same, other = mean_of_class(label), 0.0, 0.0
    for value, typical, weight in zip(row, mean, WEIGHT[label], strict=True):
        if (value - typical) * weight > 0:
            same += abs(value - typical)
        else:
            other += abs(value - typical)
    length = sum(abs(row))
    return -(same / length / confidence(row, base) + other / length / average_confidence(base))


@pytest.mark.parametrize("base", BASES)
def test_score_against_the_formula(base):
    assert min(confidence(row, base) for row in ROWS) > 0
    np.testing.assert_allclose(learned(base=base).score(ROWS[:10]), [slow(row, base) for row in ROWS[:10]], rtol=1e-9)


def test_the_two_errors_add_up_to_carefs():
    """With a bias that makes one class sure of everything, the largest probability is 1 for all."""
    sure = np.array([1000.0] + [0.0] * 11)
    found = [method(**changes) for method, changes in ((Caref, {}), (Cadref, {"base": "msp"}))]
    for one in found:
        one.weight, one.bias, one._means, one._mean_score = WEIGHT, sure, RANDOM.normal(size=(12, 8)), 1.0
    found[1]._means = found[0]._means
    np.testing.assert_allclose(found[1].score(ROWS), found[0].score(ROWS), rtol=1e-12)


def test_a_score_of_the_logits_below_0_makes_an_image_less_id():
    found, rows = learned(base="maxlogit"), ROWS.copy()
    worst = found.score(rows).min()
    found.bias = BIAS - (rows @ WEIGHT.T + BIAS).max() - 1
    assert found.score(rows).max() < worst


def test_features_of_norm_0_have_the_lowest_scores():
    found = learned()
    scores = found.score(np.vstack([np.zeros((1, 8)), ROWS]))
    assert np.isfinite(scores).all()
    assert scores[0] < 1e6 * scores[1:].min()


def test_a_class_that_is_predicted_for_none_is_refused():
    with pytest.raises(ConfigError, match="method cadref: no training image is classified as class 5"):
        learned(bias=BIAS - 1000 * (np.arange(12) == 5))


def test_logits_below_0_on_average_are_refused():
    with pytest.raises(ConfigError, match=r"method cadref: energy .* is -.*: set method\.cadref\.base to msp or gen"):
        learned(bias=BIAS - 100)
    assert np.isfinite(learned(bias=BIAS - 100, base="gen").score(ROWS)).all()


def test_the_score_of_the_logits_is_in_the_methods_name():
    assert [Cadref(base=base).variant for base in BASES] == ["", "with maxlogit", "with msp", "with gen"]
