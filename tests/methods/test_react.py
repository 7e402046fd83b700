import numpy as np
import pytest
import torch
from last_layer import learner
from pytorch_ood.detector import ReAct as Theirs
from scipy.special import logsumexp

from ood_bench.methods.react import React

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(3, 8)), RANDOM.normal(size=3)
TRAIN, ROWS = RANDOM.exponential(size=(200, 8)), RANDOM.exponential(size=(40, 8)) * 2
learned = learner(React, TRAIN, WEIGHT, BIAS)


@pytest.mark.parametrize("percentile", [50.0, 90.0, 99.0])
def test_score_against_the_formula(percentile):
    """The percentile by its definition: linear between the order statistics around (n - 1) p / 100."""
    values = sorted(TRAIN.ravel().tolist())
    place = (len(values) - 1) * percentile / 100
    low = int(place)
    limit = values[low] + (place - low) * (values[low + 1] - values[low])
    expected = [np.log(sum(np.exp(WEIGHT @ [min(value, limit) for value in row] + BIAS))) for row in ROWS]
    np.testing.assert_allclose(learned(percentile=percentile).score(ROWS), expected, rtol=1e-10)


def test_nothing_above_the_threshold_leaves_the_energy():
    found = learned(percentile=100.0)
    inside = ROWS.clip(max=TRAIN.max())
    np.testing.assert_allclose(found.score(inside), logsumexp(inside @ WEIGHT.T + BIAS, axis=1), rtol=1e-12)


def test_pytorch_ood_agrees_on_pooled_features_and_not_on_the_map():
    def theirs(train, rows):
        weight, bias = torch.from_numpy(WEIGHT), torch.from_numpy(BIAS)
        found = Theirs(None, lambda maps: maps.mean(dim=(2, 3)) @ weight.T + bias, percentile=0.9)
        found.fit_feature_maps(torch.from_numpy(train), torch.zeros(len(train)))
        return -found.predict_feature_maps(torch.from_numpy(rows)).numpy()

    ours = learned().score(ROWS)
    np.testing.assert_allclose(theirs(TRAIN[:, :, None, None], ROWS[:, :, None, None]), ours, rtol=1e-6)
    halves = [np.stack([0.5 * values, 1.5 * values], axis=2)[..., None] for values in (TRAIN, ROWS)]
    assert not np.allclose(theirs(*halves), ours, rtol=0.01)
