import numpy as np
import pytest
from last_layer import learner
from sklearn.covariance import EmpiricalCovariance

from ood_bench.errors import ConfigError
from ood_bench.methods.rmds import Rmds
from ood_bench.methods.rmds_pp import RmdsPp

RANDOM = np.random.default_rng(0)
LABELS = np.arange(200) % 4
TRAIN = RANDOM.normal(size=(200, 6)) * [1, 2, 5, 0.5, 3, 1] + 2 * RANDOM.normal(size=(4, 6))[LABELS]
ROWS = RANDOM.normal(size=(40, 6)) * 4
UNIT_TRAIN, UNIT_ROWS = (values / np.linalg.norm(values, axis=1, keepdims=True) for values in (TRAIN, ROWS))
learned = learner(RmdsPp, TRAIN, labels=LABELS)


def test_scikit_learn_agrees():
    """As the authors compute it."""
    means = np.stack([UNIT_TRAIN[label == LABELS].mean(axis=0) for label in range(4)])
    within = EmpiricalCovariance(assume_centered=True).fit(UNIT_TRAIN - means[LABELS])
    nearest = np.stack([within.mahalanobis(UNIT_ROWS - mean) for mean in means]).min(axis=0)
    around = EmpiricalCovariance().fit(UNIT_TRAIN).mahalanobis(UNIT_ROWS)
    np.testing.assert_allclose(learned().score(ROWS), around - nearest, rtol=1e-8)


def test_it_is_rmds_of_the_features_at_unit_length_and_not_of_the_features():
    found = learned(UNIT_TRAIN, kind=Rmds).score(UNIT_ROWS)
    np.testing.assert_allclose(learned().score(ROWS), found, rtol=1e-10)
    assert not np.allclose(learned(kind=Rmds).score(ROWS), found, rtol=0.1)


def test_the_length_of_no_image_counts_and_zeros_have_a_score():
    longer = [values * RANDOM.uniform(0.1, 50, (len(values), 1)) for values in (TRAIN, ROWS)]
    np.testing.assert_allclose(learned(train=longer[0]).score(longer[1]), learned().score(ROWS), rtol=1e-7)
    assert np.isfinite(learned().score(np.zeros((1, 6)))).all()


def test_with_one_class_there_is_nothing_to_tell():
    np.testing.assert_allclose(learned(labels=np.zeros(200, np.int64)).score(ROWS), 0, atol=1e-8)


def test_a_class_without_images_is_refused():
    with pytest.raises(ConfigError, match="method rmds_pp: features at unit length: no training image of class 1, 3"):
        learned(labels=LABELS * 2)
