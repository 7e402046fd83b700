import numpy as np
import pytest
import torch
from last_layer import learner
from pytorch_ood.detector import ViM as Theirs
from scipy.special import logsumexp, softmax

from ood_bench.errors import ConfigError
from ood_bench.methods.vim import Vim

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(3, 8)), RANDOM.normal(size=3)
TRAIN, ROWS = 2 + RANDOM.normal(size=(200, 8)) * [9, 5, 4, 3, 2, 1, 0.5, 0.2], RANDOM.normal(size=(40, 8)) * 3
learned = learner(Vim, TRAIN, WEIGHT, BIAS, dim=3)


def axes():
    """Origin and principal directions, by another decomposition than the method's."""
    origin = np.linalg.lstsq(WEIGHT, -BIAS, rcond=None)[0]
    return origin, np.linalg.svd(TRAIN - origin)[2]


def slow(dim):
    """The formula, image by image."""
    origin, directions = axes()

    def residual(row):
        return np.sqrt(sum(((row - origin) @ axis) ** 2 for axis in directions[dim:]))

    alpha = np.mean([max(WEIGHT @ row + BIAS) for row in TRAIN]) / np.mean([residual(row) for row in TRAIN])
    return alpha, [np.log(sum(np.exp(WEIGHT @ row + BIAS))) - alpha * residual(row) for row in ROWS]


@pytest.mark.parametrize("dim", [1, 3, 7])
def test_score_and_alpha_against_the_formula(dim):
    alpha, expected = slow(dim)
    found = learned(dim=dim)
    np.testing.assert_allclose(found._alpha, alpha, rtol=1e-9)
    np.testing.assert_allclose(found.score(ROWS), expected, rtol=1e-8)


def test_pytorch_ood_agrees_within_its_float32():
    theirs = Theirs(None, 3, torch.from_numpy(WEIGHT), torch.from_numpy(BIAS))
    theirs.fit_features(torch.from_numpy(TRAIN), torch.zeros(200))
    expected = -theirs.predict_features(torch.from_numpy(ROWS)).numpy()
    np.testing.assert_allclose(learned().score(ROWS), expected, rtol=2e-4, atol=2e-4)


def test_features_in_the_principal_space_score_their_energy():
    origin, directions = axes()
    inside = origin + RANDOM.normal(size=(5, 3)) @ directions[:3]
    expected = logsumexp(inside @ WEIGHT.T + BIAS, axis=1)
    np.testing.assert_allclose(learned().score(inside), expected, rtol=1e-9)


def test_it_ranks_as_the_papers_probability_of_the_virtual_logit():
    found = learned()
    virtual = found._alpha * found._space.norms(ROWS)
    probability = softmax(np.column_stack([found.logits(ROWS), virtual]), axis=1)[:, -1]
    np.testing.assert_allclose(1 / (1 + np.exp(found.score(ROWS))), probability, rtol=1e-9)


def test_a_rotation_of_the_features_changes_nothing():
    rotation, _ = np.linalg.qr(RANDOM.normal(size=(8, 8)))
    ours = learned(TRAIN @ rotation, WEIGHT @ rotation).score(ROWS @ rotation)
    np.testing.assert_allclose(ours, learned().score(ROWS), rtol=1e-8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": 8}, r"dim is 8, and the features have 8 values.*: set method\.vim\.dim below 8"),
        ({"train": TRAIN[:3]}, "lie within 3 directions"),
        ({"bias": BIAS - 500}, "the largest logit of ID training images is -.*: use method=residual"),
    ],
)
def test_a_fit_that_measures_nothing_is_refused(changes, message):
    with pytest.raises(ConfigError, match=f"method vim: .*{message}"):
        learned(**changes)


def test_candidates_are_those_that_leave_a_residual():
    found = Vim()
    assert found.candidates() == [{"dim": 256}, {"dim": 1000}]
    for width, dims in ((2048, [{"dim": 256}, {"dim": 1000}]), (512, [{"dim": 256}]), (64, [{}])):
        found.weight = np.zeros((3, width))
        assert found.candidates() == dims
