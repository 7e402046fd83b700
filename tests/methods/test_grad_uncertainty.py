import numpy as np
import pytest
import torch
from last_layer import linear, with_head
from pytorch_ood.detector import GradUncertainty as Theirs

from ood_bench.methods.grad_uncertainty import GradUncertainty

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS, ROWS = RANDOM.normal(size=(5, 8)), RANDOM.normal(size=5), RANDOM.normal(size=(30, 8))
ALSO = pytest.mark.parametrize("with_bias", [False, True])


@ALSO
def test_score_is_the_squared_l2_norm_of_autograds_gradient(with_bias):
    expected = []
    for row in ROWS:
        layer = linear(WEIGHT, BIAS)
        p = torch.softmax(layer(torch.from_numpy(row)), dim=0)
        loss = torch.nn.functional.binary_cross_entropy(p, torch.ones_like(p), reduction="sum")
        gradients = torch.autograd.grad(loss, [layer.weight, layer.bias][: 1 + with_bias])
        expected.append(sum((one**2).sum().item() for one in gradients))
    np.testing.assert_allclose(with_head(GradUncertainty(with_bias), WEIGHT, BIAS).score(ROWS), expected, rtol=1e-9)


@ALSO
def test_pytorch_ood_agrees(with_bias):
    theirs = Theirs(linear(WEIGHT, BIAS), lambda name: with_bias or name == "weight").predict(torch.from_numpy(ROWS))
    np.testing.assert_allclose(
        with_head(GradUncertainty(with_bias), WEIGHT, BIAS).score(ROWS), -theirs.numpy(), rtol=1e-9
    )


def test_a_uniform_softmax_has_no_gradient_and_a_certain_one_the_largest():
    flat = with_head(GradUncertainty(), np.zeros((5, 8)), np.zeros(5))
    np.testing.assert_allclose(flat.score(ROWS), 0, atol=1e-12)
    sure = with_head(GradUncertainty(), np.zeros((5, 8)), 1000.0 * np.eye(5)[0])
    np.testing.assert_allclose(sure.score(ROWS), 20 * (ROWS**2).sum(axis=1), rtol=1e-12)


def test_what_differs_from_the_paper_is_stated():
    assert "the paper trains a classifier" in " ".join(GradUncertainty().deviations())
