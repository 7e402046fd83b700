import numpy as np
import pytest
from last_layer import learner

from ood_bench.errors import ConfigError
from ood_bench.methods.caref import Caref

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(4, 8)), RANDOM.normal(size=4)
TRAIN, ROWS = RANDOM.normal(size=(300, 8)) * 2, RANDOM.normal(size=(40, 8)) * 2
learned = learner(Caref, TRAIN, WEIGHT, BIAS)


def predicted(row):
    return int((WEIGHT @ row + BIAS).argmax())


def test_score_against_the_formula():
    """Means are those of predictions, not of labels."""
    expected = []
    for row in ROWS:
        mean = np.mean([one for one in TRAIN if predicted(one) == predicted(row)], axis=0)
        expected.append(-sum(abs(row - mean)) / sum(abs(row)))
    np.testing.assert_allclose(learned().score(ROWS), expected, rtol=1e-10)


def test_a_mean_has_score_0_and_no_other_image_a_higher_one():
    found = learned()
    same = [mean for label, mean in enumerate(found._means) if predicted(mean) == label]
    assert len(same) > 1
    np.testing.assert_array_equal(found.score(np.stack(same)), 0)
    assert (found.score(ROWS) < 0).all()


def test_the_scale_of_the_features_does_not_count():
    np.testing.assert_allclose(learned(3 * TRAIN, WEIGHT / 3).score(3 * ROWS), learned().score(ROWS), rtol=1e-10)


def test_features_of_norm_0_have_the_lowest_score():
    scores = learned().score(np.vstack([np.zeros((1, 8)), ROWS]))
    assert np.isfinite(scores).all()
    assert scores[0] < 1e6 * scores[1:].min()


def test_a_class_that_is_predicted_for_none_is_refused():
    with pytest.raises(ConfigError, match=r"method caref: no training image is classified as class 2.*: train for"):
        learned(bias=BIAS - 1000 * (np.arange(4) == 2))
