import numpy as np
import pytest
import torch
from pytorch_ood.detector import GEN
from scipy.special import softmax

from ood_bench.methods.gen import Gen

LOGITS = np.random.default_rng(0).normal(0, 3, (50, 12))


def slow(logits, gamma, top):
    """The formula for one image; 1 - p is the sum of the others."""
    p = softmax(logits).tolist()
    pairs = [(one, sum(p[:place] + p[place + 1 :])) for place, one in enumerate(p)]
    return -sum(one**gamma * rest**gamma for one, rest in sorted(pairs, reverse=True)[:top])


@pytest.mark.parametrize("gamma", [0.01, 0.1, 2.0])
@pytest.mark.parametrize("top", [1, 5, 12, 100])
def test_score_against_the_formula(gamma, top):
    expected = [slow(row, gamma, top) for row in LOGITS]
    np.testing.assert_allclose(Gen(gamma, top).score(LOGITS), expected, rtol=1e-10)


def test_gamma_1_over_all_classes_is_the_gini_index():
    expected = (softmax(LOGITS, axis=1) ** 2).sum(axis=1) - 1
    np.testing.assert_allclose(Gen(gamma=1.0).score(LOGITS), expected, rtol=1e-9)


def test_it_counts_the_classes_as_gamma_goes_to_0_and_a_constant_changes_nothing():
    np.testing.assert_allclose(Gen(gamma=1e-9, top=5).score(LOGITS), -5, rtol=1e-6)
    np.testing.assert_allclose(Gen().score(LOGITS + 50), Gen().score(LOGITS), rtol=1e-10)


@pytest.mark.parametrize("top", [4, 100])
def test_pytorch_ood_agrees_with_its_definition_and_ranks_otherwise_by_the_papers(top):
    logits = LOGITS * 4
    theirs = -GEN.score(torch.from_numpy(logits), gamma=0.1, M=top).numpy()
    np.testing.assert_allclose(Gen(top=top, definition="pytorch_ood").score(logits), theirs, rtol=1e-6)
    ours = Gen(top=top).score(logits)
    assert (np.argsort(ours) != np.argsort(theirs)).any()


def test_pytorch_oods_clamp_lifts_a_probability_of_1e_12():
    logits = np.array([[0.0, np.log(1e-12)]])
    np.testing.assert_allclose(Gen().score(logits), -2 * 0.0631, rtol=1e-3)
    np.testing.assert_allclose(Gen(definition="pytorch_ood").score(logits), -0.1995, rtol=1e-3)


def test_images_of_which_the_network_is_certain_do_not_tie():
    scores = Gen().score(np.array([[0.0, -40.0], [0.0, -50.0], [0.0, -60.0]]))
    assert (np.diff(scores) > 0).all()
