import numpy as np
import pytest
import torch
from last_layer import learner, linear
from pytorch_ood.detector import PNML
from scipy.special import softmax

from ood_bench.errors import ConfigError
from ood_bench.methods.pnml import Pnml

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(5, 8)) * 3, RANDOM.normal(size=5)
TRAIN, ROWS = RANDOM.normal(size=(60, 8)) * [9, 5, 3, 1, 1, 0.3, 0.1, 0.1], RANDOM.normal(size=(40, 8)) * 2
learned = learner(Pnml, TRAIN, WEIGHT, BIAS)


def slow(row):
    """The formula for one image."""
    unit = TRAIN / np.linalg.norm(TRAIN, axis=1, keepdims=True)
    row = row / np.sqrt(sum(row**2))
    leverage = row @ np.linalg.inv(unit.T @ unit) @ row
    kappa = leverage / (1 + leverage)
    return -np.log(sum(p / (p + (1 - p) * p**kappa) for p in softmax(WEIGHT @ row + BIAS))) / np.log(5)


def test_score_against_the_formula():
    np.testing.assert_allclose(learned().score(ROWS), [slow(row) for row in ROWS], rtol=1e-9)


def test_pytorch_ood_agrees():
    theirs = PNML(None, linear(WEIGHT, BIAS).float()).fit_features(torch.from_numpy(TRAIN), torch.zeros(60))
    expected = -theirs.predict_features(torch.from_numpy(ROWS)).numpy()
    np.testing.assert_allclose(learned().score(ROWS), expected, rtol=1e-3, atol=1e-6)


def test_leverages_of_the_training_images_add_up_to_the_rank():
    for train, rank in ((TRAIN, 8), (TRAIN[:5], 5), (np.column_stack([TRAIN[:, :7], TRAIN[:, 0]]), 7)):
        found = learned(train)
        unit = train / np.linalg.norm(train, axis=1, keepdims=True)
        np.testing.assert_allclose(((unit @ found._root) ** 2).sum(), rank, rtol=1e-9)


def test_without_leverage_there_is_no_regret_and_its_limit_is_known():
    found = learned()
    found._root = np.zeros((8, 1))
    np.testing.assert_allclose(found.score(ROWS), 0, atol=1e-12)
    found._root = 1e9 * np.eye(8)  # kappa 1: a term is 1 / (2 - p)
    p = softmax(ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True) @ WEIGHT.T + BIAS, axis=1)
    np.testing.assert_allclose(found.score(ROWS), -np.log((1 / (2 - p)).sum(axis=1)) / np.log(5), rtol=1e-9)


def test_neither_length_nor_a_rotation_of_the_features_counts():
    rotation, _ = np.linalg.qr(RANDOM.normal(size=(8, 8)))
    lengths = [RANDOM.uniform(0.1, 9, (len(values), 1)) for values in (TRAIN, ROWS)]
    found = learned(lengths[0] * TRAIN @ rotation, WEIGHT @ rotation)
    np.testing.assert_allclose(found.score(lengths[1] * ROWS @ rotation), learned().score(ROWS), rtol=1e-8)


def test_images_of_which_the_network_is_certain_do_not_tie():
    scores = learned(weight=100 * WEIGHT).score(ROWS)
    assert len(set(scores)) == 40
    assert np.isfinite(scores).all()


def test_features_that_are_all_0_are_refused_in_training_and_scored_after():
    assert np.isfinite(learned().score(np.zeros((1, 8)))).all()
    with pytest.raises(ConfigError, match="method pnml: all features of the ID training images are 0"):
        learned(np.zeros((60, 8)))
