import numpy as np
import pytest
from last_layer import learner
from sklearn.covariance import EmpiricalCovariance

from ood_bench.errors import ConfigError
from ood_bench.methods.mahalanobis_pp import MahalanobisPp

RANDOM = np.random.default_rng(0)
LABELS = np.arange(200) % 4
TRAIN = RANDOM.normal(size=(200, 6)) * [1, 2, 5, 0.5, 3, 1] + 2 * RANDOM.normal(size=(4, 6))[LABELS]
ROWS = RANDOM.normal(size=(40, 6)) * 4
CLASSES = [np.flatnonzero(label == LABELS) for label in range(4)]
learned = learner(MahalanobisPp, TRAIN, labels=LABELS)


def slow(row):
    """The formula for one image, all at unit length."""
    train = np.stack([one / np.sqrt((one**2).sum()) for one in TRAIN])
    means = [train[members].mean(axis=0) for members in CLASSES]
    centred = [one - means[label] for one, label in zip(train, LABELS, strict=True)]
    inverse = np.linalg.inv(sum(np.outer(one, one) for one in centred) / len(centred))
    row = row / np.sqrt((row**2).sum())
    return max(-0.5 * (row - mean) @ inverse @ (row - mean) for mean in means)


def test_score_against_the_formula():
    np.testing.assert_allclose(learned().score(ROWS), [slow(row) for row in ROWS], rtol=1e-8)


def test_scikit_learn_agrees():
    """As the authors compute it, without the factor."""
    train, rows = (values / np.linalg.norm(values, axis=-1, keepdims=True) for values in (TRAIN, ROWS))
    means = np.stack([train[members].mean(axis=0) for members in CLASSES])
    within = EmpiricalCovariance(assume_centered=True).fit(train - means[LABELS])
    nearest = np.stack([within.mahalanobis(rows - mean) for mean in means]).min(axis=0)
    np.testing.assert_allclose(2 * learned().score(ROWS), -nearest, rtol=1e-8)


def test_the_length_of_no_image_counts():
    longer = [values * RANDOM.uniform(0.1, 50, (len(values), 1)) for values in (TRAIN, ROWS)]
    np.testing.assert_allclose(learned(longer[0]).score(longer[1]), learned().score(ROWS), rtol=1e-7)


def test_a_rotation_changes_nothing_and_zeros_have_a_score():
    rotation, _ = np.linalg.qr(RANDOM.normal(size=(6, 6)))
    np.testing.assert_allclose(learned(TRAIN @ rotation).score(ROWS @ rotation), learned().score(ROWS), rtol=1e-8)
    assert np.isfinite(learned().score(np.zeros((1, 6)))).all()


@pytest.mark.parametrize(
    ("train", "labels", "message"),
    [
        (TRAIN, LABELS * 2, "no training image of class 1, 3, 5"),
        (TRAIN[LABELS] * RANDOM.uniform(1, 9, (200, 1)), LABELS, "do not vary within classes"),
    ],
)
def test_a_fit_that_measures_nothing_is_refused(train, labels, message):
    with pytest.raises(ConfigError, match=f"method mahalanobis_pp: features at unit length:? {message}"):
        learned(train, labels=labels)
