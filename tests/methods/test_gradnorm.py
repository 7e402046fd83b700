"""GradNorm and gradient uncertainty: closed forms of the last layer's gradient."""

import numpy as np
import pytest
import torch
from pytorch_ood.detector import GradNorm as TheirGradNorm
from pytorch_ood.detector import GradUncertainty as TheirGradUncertainty

from ood_bench.errors import ConfigError
from ood_bench.methods.grad_uncertainty import GradUncertainty
from ood_bench.methods.gradnorm import GradNorm

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS, ROWS = RANDOM.normal(size=(5, 8)), RANDOM.normal(size=5), RANDOM.normal(size=(30, 8))


def with_head(found, weight=WEIGHT, bias=BIAS):
    found.weight, found.bias = weight, bias
    return found


def head():
    found = torch.nn.Linear(8, 5).double()
    found.load_state_dict({"weight": torch.from_numpy(WEIGHT), "bias": torch.from_numpy(BIAS)})
    return found


def gradients(row, temperature=1.0):
    """Of minus the sum of all classes' log probabilities, with respect to W and b, by autograd."""
    layer = head()
    loss = -torch.log_softmax(layer(torch.from_numpy(row)) / temperature, dim=0).sum()
    return [gradient.numpy() for gradient in torch.autograd.grad(loss, (layer.weight, layer.bias))]


@pytest.mark.parametrize("temperature", [1.0, 0.5, 10.0])
def test_gradnorm_is_the_l1_norm_of_the_gradient(temperature):
    expected = [np.abs(gradients(row, temperature)[0]).sum() for row in ROWS]
    np.testing.assert_allclose(with_head(GradNorm(temperature)).score(ROWS), expected, rtol=1e-9)


@pytest.mark.parametrize("with_bias", [False, True])
def test_gradient_uncertainty_is_the_squared_l2_norm_of_the_gradient(with_bias):
    expected = [sum((one**2).sum() for one in gradients(row)[: 1 + with_bias]) for row in ROWS]
    np.testing.assert_allclose(with_head(GradUncertainty(with_bias)).score(ROWS), expected, rtol=1e-9)


def test_pytorch_ood_agrees_but_for_the_mean_over_classes():
    rows = torch.from_numpy(ROWS)
    theirs = -TheirGradNorm(head(), lambda name: name == "weight").predict(rows).numpy()
    np.testing.assert_allclose(with_head(GradNorm()).score(ROWS), 5 * theirs, rtol=1e-9)
    for with_bias in (False, True):
        theirs = -TheirGradUncertainty(head(), lambda name, also=with_bias: also or name == "weight").predict(rows)
        np.testing.assert_allclose(with_head(GradUncertainty(with_bias)).score(ROWS), theirs.numpy(), rtol=1e-9)


@pytest.mark.parametrize(("method", "power"), [(GradNorm, 1), (GradUncertainty, 2)])
def test_a_uniform_softmax_has_no_gradient_and_a_certain_one_the_largest(method, power):
    flat = with_head(method(), np.zeros((5, 8)), np.zeros(5))
    np.testing.assert_allclose(flat.score(ROWS), 0, atol=1e-12)
    sure = with_head(method(), np.zeros((5, 8)), 1000.0 * np.eye(5)[0])
    lengths = (np.abs(ROWS) ** power).sum(axis=1)
    np.testing.assert_allclose(sure.score(ROWS), (4**power + 4) * lengths, rtol=1e-12)


def test_a_temperature_of_0_is_refused():
    with pytest.raises(ConfigError, match=r"method gradnorm: temperature is 0\.0"):
        GradNorm(0.0)
