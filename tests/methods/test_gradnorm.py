import numpy as np
import pytest
import torch
from last_layer import linear, with_head
from pytorch_ood.detector import GradNorm as Theirs

from ood_bench.methods.gradnorm import GradNorm

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS, ROWS = RANDOM.normal(size=(5, 8)), RANDOM.normal(size=5), RANDOM.normal(size=(30, 8))


@pytest.mark.parametrize("temperature", [1.0, 0.5, 10.0])
def test_score_is_the_l1_norm_of_autograds_gradient(temperature):
    expected = []
    for row in ROWS:
        layer = linear(WEIGHT, BIAS)
        loss = -torch.log_softmax(layer(torch.from_numpy(row)) / temperature, dim=0).sum()
        expected.append(torch.autograd.grad(loss, layer.weight)[0].abs().sum().item())
    np.testing.assert_allclose(with_head(GradNorm(temperature), WEIGHT, BIAS).score(ROWS), expected, rtol=1e-9)


def test_pytorch_ood_agrees_but_for_the_mean_over_classes():
    theirs = -Theirs(linear(WEIGHT, BIAS), lambda name: name == "weight").predict(torch.from_numpy(ROWS)).numpy()
    np.testing.assert_allclose(with_head(GradNorm(), WEIGHT, BIAS).score(ROWS), 5 * theirs, rtol=1e-9)


def test_a_uniform_softmax_has_no_gradient_and_a_certain_one_the_largest():
    flat = with_head(GradNorm(), np.zeros((5, 8)), np.zeros(5))
    np.testing.assert_allclose(flat.score(ROWS), 0, atol=1e-12)
    sure = with_head(GradNorm(), np.zeros((5, 8)), 1000.0 * np.eye(5)[0])
    np.testing.assert_allclose(sure.score(ROWS), 8 * np.abs(ROWS).sum(axis=1), rtol=1e-12)
