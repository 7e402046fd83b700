import numpy as np
import pytest
import torch
from last_layer import learner
from pytorch_ood.detector import DICE
from scipy.special import logsumexp

from ood_bench.errors import ConfigError
from ood_bench.methods.dice import Dice

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(3, 8)), RANDOM.normal(size=3)
TRAIN, ROWS = RANDOM.exponential(size=(200, 8)), RANDOM.exponential(size=(40, 8)) * 2
learned = learner(Dice, TRAIN, WEIGHT, BIAS)


def slow(percentile):
    """Weights in the order of their contribution; the percentile lies between two of them, linearly."""
    means = [sum(column) / len(column) for column in TRAIN.T]
    order = sorted((WEIGHT[k, d] * means[d], k, d) for k in range(3) for d in range(8))
    kept = np.zeros((3, 8))
    for _, k, d in order[int(percentile / 100 * 23) + 1 :]:
        kept[k, d] = WEIGHT[k, d]
    return [np.log(sum(np.exp(kept @ row + BIAS))) for row in ROWS]


@pytest.mark.parametrize("percentile", [0.0, 10.0, 70.0, 90.0, 99.0])
def test_score_against_the_formula_and_pytorch_ood(percentile):
    ours = learned(percentile=percentile).score(ROWS)
    np.testing.assert_allclose(ours, slow(percentile), rtol=1e-10)
    theirs = DICE(None, torch.from_numpy(WEIGHT), torch.from_numpy(BIAS), percentile / 100)
    theirs.fit_features(torch.from_numpy(TRAIN), torch.zeros(200))
    np.testing.assert_allclose(ours, -theirs.predict_features(torch.from_numpy(ROWS)).numpy(), rtol=1e-5)


def test_percentile_0_removes_the_smallest_contribution_only():
    removed = WEIGHT.copy()
    removed[np.unravel_index((WEIGHT * TRAIN.mean(axis=0)).argmin(), WEIGHT.shape)] = 0
    expected = logsumexp(ROWS @ removed.T + BIAS, axis=1)
    np.testing.assert_allclose(learned(percentile=0.0).score(ROWS), expected, rtol=1e-12)


def test_what_keeps_nothing_is_refused():
    with pytest.raises(
        ConfigError, match="method dice: no weight contributes more than percentile 90 of all, which is 0"
    ):
        learned(train=np.zeros((5, 8)))
