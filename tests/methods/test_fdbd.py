import numpy as np
import pytest
import torch
from last_layer import learner, linear
from pytorch_ood.detector import fDBD as Theirs

from ood_bench.errors import ConfigError
from ood_bench.methods.fdbd import Fdbd

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(5, 8)), RANDOM.normal(size=5)
TRAIN, ROWS = RANDOM.normal(size=(100, 8)) + 1, RANDOM.normal(size=(40, 8)) * 2
learned = learner(Fdbd, TRAIN, WEIGHT, BIAS)


def slow(row, normaliser):
    """The formula, with each boundary's distance from the foot of the perpendicular."""
    logits = WEIGHT @ row + BIAS
    winner, distances = int(logits.argmax()), []
    for label in range(5):
        if label != winner:
            normal = WEIGHT[winner] - WEIGHT[label]
            foot = row - (normal @ row + BIAS[winner] - BIAS[label]) / (normal @ normal) * normal
            np.testing.assert_allclose(WEIGHT[winner] @ foot + BIAS[winner], WEIGHT[label] @ foot + BIAS[label])
            distances.append(np.linalg.norm(row - foot))
    return np.mean(distances) / np.linalg.norm(row - (TRAIN.mean(axis=0) if normaliser == "distance" else 0))


@pytest.mark.parametrize("normaliser", ["distance", "norm"])
def test_score_against_the_formula(normaliser):
    expected = [slow(row, normaliser) for row in ROWS]
    np.testing.assert_allclose(learned(normaliser=normaliser).score(ROWS), expected, rtol=1e-9)


def test_pytorch_ood_agrees():
    theirs = Theirs(None, linear(WEIGHT, BIAS).float()).fit_features(torch.from_numpy(TRAIN))
    expected = -theirs.predict_features(torch.from_numpy(ROWS)).numpy()
    np.testing.assert_allclose(learned().score(ROWS), expected, rtol=1e-5)


def test_the_sum_of_the_authors_code_is_the_mean_times_the_other_classes():
    logits = ROWS @ WEIGHT.T + BIAS
    winners = logits.argmax(axis=1)
    between = np.linalg.norm(WEIGHT[:, None] - WEIGHT, axis=2) + np.eye(5)
    sums = (np.abs(logits - logits.max(axis=1)[:, None]) / between[winners]).sum(axis=1)
    expected = sums / np.linalg.norm(ROWS - TRAIN.mean(axis=0), axis=1)
    np.testing.assert_allclose(4 * learned().score(ROWS), expected, rtol=1e-10)


def test_the_classes_names_and_a_rotation_do_not_count():
    order, (rotation, _) = RANDOM.permutation(5), np.linalg.qr(RANDOM.normal(size=(8, 8)))
    found = learned(TRAIN @ rotation, WEIGHT[order] @ rotation, BIAS[order])
    np.testing.assert_allclose(found.score(ROWS @ rotation), learned().score(ROWS), rtol=1e-9)


def test_the_scale_of_the_last_layer_does_not_count():
    np.testing.assert_allclose(learned(weight=3 * WEIGHT, bias=3 * BIAS).score(ROWS), learned().score(ROWS), rtol=1e-10)


def test_a_step_away_from_the_boundaries_raises_the_score():
    found = learned(train=ROWS, normaliser="norm")
    deeper = ROWS + 0.1 * (WEIGHT[(ROWS @ WEIGHT.T + BIAS).argmax(axis=1)] - WEIGHT.mean(axis=0))
    moved, stayed = (found.score(rows) * np.linalg.norm(rows, axis=1) for rows in (deeper, ROWS))
    assert (moved > stayed).all()


def test_an_image_at_the_mean_has_a_score():
    assert np.isfinite(learned().score(TRAIN.mean(axis=0)[None])).all()


def test_classes_with_the_same_weights_are_refused():
    with pytest.raises(
        ConfigError, match=r"method fdbd: classes 1 and 3 have the same weights.*: leave the method out"
    ):
        learned(weight=WEIGHT[[0, 1, 2, 1, 4]])
