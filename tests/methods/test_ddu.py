import numpy as np
import pytest
import torch
from last_layer import learner
from pytorch_ood.detector import GMM
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from ood_bench.errors import ConfigError
from ood_bench.methods.ddu import JITTERS, Ddu

RANDOM = np.random.default_rng(0)
LABELS = np.repeat(np.arange(3), [50, 30, 20])
TRAIN = RANDOM.normal(size=(100, 5)) @ RANDOM.normal(size=(5, 5)) + 2 * RANDOM.normal(size=(3, 5))[LABELS]
ROWS = 3 * RANDOM.normal(size=(40, 5))
learned = learner(Ddu, TRAIN, labels=LABELS)


def test_score_against_densities_of_scipy():
    logs = []
    for label, share in enumerate([0.5, 0.3, 0.2]):
        mine = TRAIN[label == LABELS]
        centred = mine - mine.mean(axis=0)
        covariance = centred.T @ centred / (len(mine) - 1)
        logs.append(np.log(share) + multivariate_normal(mine.mean(axis=0), covariance).logpdf(ROWS))
    found = learned()
    np.testing.assert_allclose(found.score(ROWS), logsumexp(logs, axis=0), rtol=1e-9)
    assert found.findings() == {"jitter": 0.0}


def test_an_invertible_map_of_the_features_adds_a_constant():
    matrix = RANDOM.normal(size=(5, 5))
    mapped = learned(TRAIN @ matrix).score(ROWS @ matrix)
    np.testing.assert_allclose(mapped, learned().score(ROWS) - np.linalg.slogdet(matrix).logabsdet, rtol=1e-9)


def test_pytorch_ood_divides_by_another_count_and_adds_a_constant():
    theirs = GMM(None, reg=1e-6)
    theirs.fit_features(torch.from_numpy(TRAIN), torch.from_numpy(LABELS))
    other = -theirs.predict_features(torch.from_numpy(ROWS)).numpy()
    ours = learned().score(ROWS)
    assert abs(ours - other).max() > 0.1
    many, labels = np.tile(TRAIN, (1000, 1)), np.tile(LABELS, 1000)
    theirs.fit_features(torch.from_numpy(many), torch.from_numpy(labels))
    other = -theirs.predict_features(torch.from_numpy(ROWS)).numpy()
    np.testing.assert_allclose(learned(many, labels=labels).score(ROWS), other, rtol=1e-3)


def test_rows_in_blocks_score_as_all_at_once(monkeypatch):
    expected = learned().score(ROWS)
    monkeypatch.setattr("ood_bench.methods.ddu._VALUES", 35)
    np.testing.assert_allclose(learned().score(ROWS), expected, rtol=1e-13)


def test_the_jitter_is_the_first_with_which_every_class_can_be_decomposed():
    """By trying all; the second class has fewer images than features, the third a direction that hardly varies."""
    features = np.concatenate([TRAIN[:50], TRAIN[50:54], TRAIN[80:]])
    features[54:, 0] = 1e-9 * features[54:, 1]
    labels = np.repeat(np.arange(3), [50, 4, 20])
    covariances = [np.cov(features[labels == label], rowvar=False) for label in range(3)]

    def works(jitter):
        try:
            return [np.linalg.cholesky(one + jitter * np.eye(5)) for one in covariances] != []
        except np.linalg.LinAlgError:
            return False

    found = learned(features, labels=labels)
    assert found.jitter == next(filter(works, JITTERS))
    assert 0 < found.jitter < 1e-10
    assert np.isfinite(found.score(ROWS)).all()


def test_a_unit_that_is_0_in_every_class_makes_images_where_it_is_not_the_least_likely():
    features, rows = np.hstack([TRAIN, np.zeros((100, 1))]), np.hstack([ROWS, np.zeros((40, 1))])
    found = learned(features, labels=LABELS[: len(features)])
    assert found.jitter == np.finfo(np.float64).tiny
    rows[:2, 5] = 3
    scores = found.score(rows)
    np.testing.assert_allclose(scores[:2], -1e300)
    shift = -0.5 * np.log(2 * np.pi * found.jitter)
    np.testing.assert_allclose(scores[2:], learned().score(ROWS[2:]) + shift, rtol=1e-9)


def test_a_class_of_one_image_and_features_beyond_any_jitter_are_refused():
    with pytest.raises(ConfigError, match="method ddu: fewer than two training images of class 1: no cov"):
        learned(TRAIN[:51], labels=LABELS[:51])
    with pytest.raises(ConfigError, match=r"cannot be decomposed, even with 0\.1 added to its diagonal"):
        learned(np.outer(np.arange(6.0), [1e12, 3e12, 7e12]), labels=np.zeros(6, dtype=np.int64))
