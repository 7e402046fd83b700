"""Mahalanobis++ and RMDS++, which share the features at unit length."""

import numpy as np
import pytest
from sklearn.covariance import EmpiricalCovariance

from ood_bench.errors import ConfigError
from ood_bench.methods.mahalanobis_pp import MahalanobisPp
from ood_bench.methods.rmds import Rmds
from ood_bench.methods.rmds_pp import RmdsPp
from ood_bench.methods.unit import unit_length

RANDOM = np.random.default_rng(0)
LABELS = np.arange(200) % 4
TRAIN = RANDOM.normal(size=(200, 6)) * [1, 2, 5, 0.5, 3, 1] + 2 * RANDOM.normal(size=(4, 6))[LABELS]
ROWS = RANDOM.normal(size=(40, 6)) * 4
BOTH = pytest.mark.parametrize("method", [MahalanobisPp, RmdsPp])


def learned(method, train=TRAIN, labels=LABELS):
    found = method()
    found.learn(train, labels)
    return found


def distances(row, members):
    """Squared distance of one row from the mean of each class, covariance within classes, all at unit length."""
    train = np.stack([one / np.sqrt((one**2).sum()) for one in TRAIN])
    means = np.stack([train[labels].mean(axis=0) for labels in members])
    centred = np.concatenate([train[labels] - mean for labels, mean in zip(members, means, strict=True)])
    inverse = np.linalg.inv(sum(np.outer(one, one) for one in centred) / len(centred))
    row = row / np.sqrt((row**2).sum())
    return [(row - mean) @ inverse @ (row - mean) for mean in means]


CLASSES, WHOLE = [np.flatnonzero(label == LABELS) for label in range(4)], [np.arange(200)]


def test_scores_against_the_formulas():
    expected = [-0.5 * min(distances(row, CLASSES)) for row in ROWS]
    np.testing.assert_allclose(learned(MahalanobisPp).score(ROWS), expected, rtol=1e-8)
    expected = [distances(row, WHOLE)[0] - min(distances(row, CLASSES)) for row in ROWS]
    np.testing.assert_allclose(learned(RmdsPp).score(ROWS), expected, rtol=1e-8)


def test_scikit_learn_agrees():
    """As the authors compute it."""
    train, rows = (values / np.linalg.norm(values, axis=-1, keepdims=True) for values in (TRAIN, ROWS))
    means = np.stack([train[members].mean(axis=0) for members in CLASSES])
    within = EmpiricalCovariance(assume_centered=True).fit(train - means[LABELS])
    nearest = np.stack([within.mahalanobis(rows - mean) for mean in means]).min(axis=0)
    np.testing.assert_allclose(2 * learned(MahalanobisPp).score(ROWS), -nearest, rtol=1e-8)
    around = EmpiricalCovariance().fit(train).mahalanobis(rows)
    np.testing.assert_allclose(learned(RmdsPp).score(ROWS), around - nearest, rtol=1e-8)


@BOTH
def test_the_length_of_no_image_counts(method):
    longer = [values * RANDOM.uniform(0.1, 50, (len(values), 1)) for values in (TRAIN, ROWS)]
    np.testing.assert_allclose(learned(method, longer[0]).score(longer[1]), learned(method).score(ROWS), rtol=1e-7)


@BOTH
def test_a_rotation_changes_nothing_and_zeros_have_a_score(method):
    rotation, _ = np.linalg.qr(RANDOM.normal(size=(6, 6)))
    ours = learned(method).score(ROWS)
    np.testing.assert_allclose(learned(method, TRAIN @ rotation).score(ROWS @ rotation), ours, rtol=1e-8)
    assert np.isfinite(learned(method).score(np.zeros((1, 6)))).all()


def test_features_that_have_unit_length_give_rmds():
    found = Rmds()
    found.learn(unit_length(TRAIN), LABELS)
    np.testing.assert_allclose(learned(RmdsPp).score(ROWS), found.score(unit_length(ROWS)), rtol=1e-10)


@pytest.mark.parametrize(("method", "name"), [(MahalanobisPp, "mahalanobis_pp"), (RmdsPp, "rmds_pp")])
@pytest.mark.parametrize(
    ("train", "labels", "message"),
    [
        (TRAIN, LABELS * 2, "no training image of class 1, 3, 5"),
        (TRAIN[LABELS] * RANDOM.uniform(1, 9, (200, 1)), LABELS, "do not vary within classes"),
    ],
)
def test_a_fit_that_measures_nothing_is_refused(method, name, train, labels, message):
    with pytest.raises(ConfigError, match=f"method {name}: features at unit length:? {message}"):
        learned(method, train, labels)
