import numpy as np
import pytest
import torch
from pytorch_ood.detector import LTS
from scipy.special import logsumexp

from ood_bench.errors import ConfigError
from ood_bench.methods.lts import Lts

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(3, 40)), RANDOM.normal(size=3)
ROWS = RANDOM.normal(size=(50, 40)) + 0.5


def made(**changes):
    found = Lts(**changes)
    found.weight, found.bias = WEIGHT, BIAS
    return found


def slow(row, percentile):
    positive = sorted((max(value, 0) for value in row), reverse=True)
    factor = (sum(positive) / sum(positive[: len(row) - round(len(row) * percentile / 100)])) ** 2
    return logsumexp(factor * (WEIGHT @ row + BIAS))


@pytest.mark.parametrize("percentile", [0.0, 50.0, 90.0, 95.0])
def test_score_against_the_formula_and_pytorch_ood(percentile):
    ours = made(percentile=percentile).score(ROWS)
    np.testing.assert_allclose(ours, [slow(row, percentile) for row in ROWS], rtol=1e-10)
    weight, bias = torch.from_numpy(WEIGHT), torch.from_numpy(BIAS)
    theirs = LTS(None, lambda features: features @ weight.T + bias, p=1 - percentile / 100)
    np.testing.assert_allclose(ours, -theirs.predict_features(torch.from_numpy(ROWS)).numpy(), rtol=1e-6)


def test_features_that_are_all_equal_have_the_largest_factor():
    flat = np.full((1, 40), 0.3)
    np.testing.assert_allclose(made().shape(flat), (flat @ WEIGHT.T + BIAS) * (40 / 2) ** 2, rtol=1e-12)


def test_percentile_0_changes_nothing_and_neither_does_the_scale_of_the_factors_features():
    np.testing.assert_allclose(made(percentile=0.0).shape(ROWS), ROWS @ WEIGHT.T + BIAS, rtol=1e-12)
    np.testing.assert_allclose(made().mass_ratio(abs(ROWS) * 1e6), made().mass_ratio(abs(ROWS)), rtol=1e-12)


def test_an_image_without_features_above_0_keeps_its_logits():
    below = -abs(ROWS[:2])
    np.testing.assert_allclose(made().shape(below), below @ WEIGHT.T + BIAS, rtol=1e-12)


def test_a_percentile_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="leaves none of 40 features"):
        made(percentile=99.0).score(ROWS)
