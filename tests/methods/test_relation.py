import numpy as np
import pytest
from last_layer import learner
from scipy.special import softmax

from ood_bench.methods import relation
from ood_bench.methods.relation import Relation

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(3, 8)), RANDOM.normal(size=3)
TRAIN, ROWS = RANDOM.normal(size=(70, 8)) + 0.5, RANDOM.normal(size=(30, 8)) + 0.5
learned = learner(Relation, TRAIN, WEIGHT, BIAS)


def slow(row, power, threshold):
    """The formula, pair by pair."""
    total, p = 0.0, softmax(WEIGHT @ row + BIAS)
    for other in TRAIN:
        cosine = sum(row * other) / np.sqrt(sum(row**2) * sum(other**2))
        related = max(0, cosine) * sum(p * softmax(WEIGHT @ other + BIAS))
        total += related**power if related > threshold else 0
    return total


@pytest.mark.parametrize("power", [1.0, 2.5, 4.0, 6.0])
@pytest.mark.parametrize("threshold", [0.0, 0.03, 0.3])
def test_score_against_the_formula_in_whatever_blocks(power, threshold, monkeypatch):
    expected = [slow(row, power, threshold) for row in ROWS]
    assert min(expected) == 0 or threshold < 0.3
    found = learned(power=power, threshold=threshold)
    np.testing.assert_allclose(found.score(ROWS), expected, rtol=1e-10)
    monkeypatch.setattr(relation, "_ROWS", 7)
    monkeypatch.setattr(relation, "_BANK", 16)
    np.testing.assert_allclose(found.score(ROWS), expected, rtol=1e-10)


def test_one_training_image_that_is_the_image_gives_the_sum_of_squared_probabilities():
    squares = (softmax(ROWS @ WEIGHT.T + BIAS, axis=1) ** 2).sum(axis=1)
    for row, square in zip(ROWS, squares, strict=True):
        np.testing.assert_allclose(learned(row[None]).score(row[None]), [square], rtol=1e-12)


def test_training_images_count_as_often_as_they_are_there():
    np.testing.assert_allclose(learned(np.vstack([TRAIN, TRAIN])).score(ROWS), 2 * learned().score(ROWS), rtol=1e-12)


def test_a_rotation_changes_nothing_and_zeros_are_related_to_nothing():
    rotation, _ = np.linalg.qr(RANDOM.normal(size=(8, 8)))
    turned = learned(TRAIN @ rotation, WEIGHT @ rotation).score(ROWS @ rotation)
    np.testing.assert_allclose(turned, learned().score(ROWS), rtol=1e-9)
    np.testing.assert_array_equal(learned().score(np.zeros((1, 8))), [0])
