import numpy as np
import pytest
import torch
from last_layer import learner, linear
from pytorch_ood.detector import NCI

from ood_bench.methods.nci import Nci

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(5, 8)), RANDOM.normal(size=5)
TRAIN, ROWS = RANDOM.normal(size=(100, 8)) + 1, RANDOM.normal(size=(40, 8)) * 2
learned = learner(Nci, TRAIN, WEIGHT, BIAS)


def slow(row, alpha):
    """The formula, by the angle."""
    winner = WEIGHT[max(range(5), key=lambda label: sum(WEIGHT[label] * row) + BIAS[label])]
    centred = row - np.array([sum(column) / 100 for column in TRAIN.T])
    cosine = sum(winner * centred) / np.sqrt(sum(winner**2) * sum(centred**2))
    return np.sqrt(sum(winner**2)) * cosine + alpha * sum(abs(row))


@pytest.mark.parametrize("alpha", [0.0, 1e-4, 0.5])
def test_score_against_the_formula_and_pytorch_ood(alpha):
    ours = learned(alpha=alpha).score(ROWS)
    np.testing.assert_allclose(ours, [slow(row, alpha) for row in ROWS], rtol=1e-9)
    theirs = NCI(None, linear(WEIGHT, BIAS).float(), alpha).fit_features(torch.from_numpy(TRAIN))
    expected = -theirs.predict_features(torch.from_numpy(ROWS)).numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def test_without_the_length_only_the_direction_from_the_mean_counts():
    found, direction = learned(alpha=0.0), ROWS - TRAIN.mean(axis=0)
    steps = [TRAIN.mean(axis=0) + factor * direction for factor in (1, 2)]
    same = (steps[0] @ WEIGHT.T + BIAS).argmax(axis=1) == (steps[1] @ WEIGHT.T + BIAS).argmax(axis=1)
    assert same.sum() > 20
    first, second = (found.score(step[same]) for step in steps)
    np.testing.assert_allclose(second, first, rtol=1e-9)
    assert not np.allclose(*(learned(alpha=0.5).score(step[same]) for step in steps), rtol=0.01)


def test_a_rotation_changes_nothing_but_the_l1_norm():
    rotation, _ = np.linalg.qr(RANDOM.normal(size=(8, 8)))
    turned = learned(TRAIN @ rotation, WEIGHT @ rotation, alpha=0.0).score(ROWS @ rotation)
    np.testing.assert_allclose(turned, learned(alpha=0.0).score(ROWS), rtol=1e-9)


def test_an_image_at_the_mean_has_its_length_only():
    mean = TRAIN.mean(axis=0)
    np.testing.assert_allclose(learned(alpha=0.5).score(mean[None]), [0.5 * np.abs(mean).sum()], rtol=1e-12)
