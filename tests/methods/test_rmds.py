import numpy as np
import pytest
import torch
from last_layer import learner
from pytorch_ood.detector import RMD
from sklearn.covariance import EmpiricalCovariance

from ood_bench.errors import ConfigError
from ood_bench.methods.rmds import Rmds

RANDOM = np.random.default_rng(0)
LABELS = np.arange(200) % 4
CLASSES = [np.flatnonzero(label == LABELS) for label in range(4)]
TRAIN = RANDOM.normal(size=(200, 6)) * [1, 2, 5, 0.5, 3, 1] + 2 * RANDOM.normal(size=(4, 6))[LABELS]
ROWS = RANDOM.normal(size=(40, 6)) * 4
learned = learner(Rmds, TRAIN, labels=LABELS)


def slow(rows):
    """The formula, image by image, with plain inverses."""
    means = [TRAIN[members].mean(axis=0) for members in CLASSES]
    within = sum(np.outer(row - means[label], row - means[label]) for row, label in zip(TRAIN, LABELS, strict=True))
    whole = TRAIN.mean(axis=0)
    around = sum(np.outer(row - whole, row - whole) for row in TRAIN)
    within, around = np.linalg.inv(within / 200), np.linalg.inv(around / 200)
    return [
        max((row - whole) @ around @ (row - whole) - (row - mean) @ within @ (row - mean) for mean in means)
        for row in rows
    ]


def test_score_against_the_formula():
    np.testing.assert_allclose(learned().score(ROWS), slow(ROWS), rtol=1e-9)


def test_scikit_learn_agrees():
    """As OpenOOD computes it, in float64."""
    means = np.stack([TRAIN[members].mean(axis=0) for members in CLASSES])
    within, around = EmpiricalCovariance().fit(TRAIN - means[LABELS]), EmpiricalCovariance().fit(TRAIN)
    distances = np.stack([within.mahalanobis(ROWS - mean) for mean in means])
    np.testing.assert_allclose(learned().score(ROWS), around.mahalanobis(ROWS) - distances.min(axis=0), rtol=1e-9)


@pytest.fixture
def in_float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_pytorch_ood_gives_the_same_over_the_number_of_images(in_float64):
    theirs = RMD(None).fit_features(torch.from_numpy(TRAIN), torch.from_numpy(LABELS))
    expected = -200 * theirs.predict_features(torch.from_numpy(ROWS)).numpy()
    np.testing.assert_allclose(learned().score(ROWS), expected, rtol=1e-5)


def test_with_one_class_there_is_nothing_to_tell():
    np.testing.assert_allclose(learned(labels=np.zeros(200, np.int64)).score(ROWS), 0, atol=1e-10)


def test_neither_scale_nor_any_other_linear_map_of_the_features_counts():
    mixing = RANDOM.normal(size=(6, 6))
    ours = learned().score(ROWS)
    np.testing.assert_allclose(learned(9 * TRAIN + 1).score(9 * ROWS + 1), ours, rtol=1e-9)
    np.testing.assert_allclose(learned(TRAIN @ mixing).score(ROWS @ mixing), ours, rtol=1e-8)


def test_a_dead_and_a_repeated_channel_change_nothing():
    def widened(rows):
        return np.column_stack([rows, np.full(len(rows), 2.0), rows[:, 1]])

    np.testing.assert_allclose(learned(widened(TRAIN)).score(widened(ROWS)), learned().score(ROWS), rtol=1e-8)


@pytest.mark.parametrize(
    ("train", "labels", "message"),
    [
        (TRAIN, LABELS * 2, "no training image of class 1, 3, 5, so .*: use training images of every class"),
        (TRAIN[:4], LABELS[:4], "do not vary within classes.*: use more than one training image a class"),
    ],
)
def test_a_fit_that_measures_nothing_is_refused(train, labels, message):
    with pytest.raises(ConfigError, match=f"method rmds: features:? {message}"):
        learned(train, labels=labels)
