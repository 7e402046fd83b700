import math

import numpy as np
import torch
from pytorch_ood.detector import Entropy as Theirs

from ood_bench.methods.entropy import Entropy

LOGITS = np.random.default_rng(0).normal(0, 2, (50, 7))


def slow(logits):
    """Minus the entropy of one image, by the formula."""
    odds = [math.exp(value) for value in logits]
    return sum(one / sum(odds) * math.log(one / sum(odds)) for one in odds)


def test_score_against_the_formula():
    np.testing.assert_allclose(Entropy().score(LOGITS), [slow(row) for row in LOGITS], rtol=1e-12)


def test_pytorch_ood_agrees_within_what_its_clipping_changes():
    """Only probabilities below 1e-7 count there as 1e-7, each of which adds at most 1e-7 * 16.2 to the entropy."""
    np.testing.assert_allclose(Entropy().score(LOGITS), -Theirs.score(torch.from_numpy(LOGITS)), rtol=1e-12)
    steep = np.array([[0.0, -10.0, -20.0, -30.0]])
    difference = -Theirs.score(torch.from_numpy(steep)).numpy() - Entropy().score(steep)
    assert -2 * 1.62e-6 < difference[0] < -1e-6


def test_equal_logits_have_the_largest_entropy_and_a_constant_changes_nothing():
    np.testing.assert_allclose(Entropy().score(np.full((2, 7), 3.0)), -math.log(7), rtol=1e-12)
    np.testing.assert_allclose(Entropy().score(LOGITS + 100), Entropy().score(LOGITS), rtol=1e-10)


def test_probabilities_that_underflow_count_as_none():
    np.testing.assert_array_equal(Entropy().score(np.array([[2000.0, 0.0, -2000.0]])), [0.0])
