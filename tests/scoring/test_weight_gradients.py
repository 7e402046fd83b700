import numpy as np
import pytest
import torch
from pytorch_ood.detector import GradNorm, GradUncertainty
from torch import nn
from torch.func import functional_call

from ood_bench.data.imageset import ImageSet
from ood_bench.data.views import View
from ood_bench.errors import NotFiniteError
from ood_bench.scoring.weight_gradients import one_by_one, together, weight_gradient_norms


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_norms_against_pytorch_ood_on_a_network_with_batch_norm(temperature, toys):
    given, images = toys.norm_classifier(), toys.image_set("near", 5)
    ours = weight_gradient_norms(given, View(images), temperature)
    network, x = toys.double(given), toys.inputs(images)
    l1 = -toys.CLASSES * GradNorm(network, temperature=temperature).predict(x)
    np.testing.assert_allclose(ours[0], l1, rtol=1e-5)
    if temperature == 1:
        np.testing.assert_allclose(ours[1], -GradUncertainty(network).predict(x), rtol=1e-5)


class Last(nn.Module):
    """A linear layer, and a weight without use."""

    taps = {"flat": "flat"}  # noqa: RUF012 - read only

    def __init__(self):
        super().__init__()
        self.flat, self.layer, self.idle = nn.Flatten(), nn.Linear(12, 3), nn.Parameter(torch.ones(2))

    def forward(self, x):
        return self.layer(self.flat(x))


def test_one_linear_layer_has_the_closed_form(toys):
    """Gradients by W are the outer product of K p - 1 and x, those by b are K p - 1."""
    torch.manual_seed(0)
    given = toys.classifier_of(Last())
    images = ImageSet.of("few", np.random.default_rng(0).integers(0, 256, (70, 3, 2, 2)).astype(np.uint8))
    ours = weight_gradient_norms(given, View(images))
    x = toys.inputs(images).flatten(1)
    residual = 3 * toys.double(given)(toys.inputs(images)).softmax(dim=1) - 1
    l1 = residual.abs().sum(dim=1) * (x.abs().sum(dim=1) + 1)
    l2 = residual.square().sum(dim=1) * (x.square().sum(dim=1) + 1)
    np.testing.assert_allclose(ours, torch.stack([l1, l2]).detach(), rtol=1e-5)


def test_what_a_gpu_does_at_once_is_what_a_cpu_does_one_by_one(toys):
    given, x = toys.norm_classifier(), toys.inputs(toys.image_set("near", 5)).float()
    weights = {name: value.detach().requires_grad_() for name, value in given.network.named_parameters()}
    weights["idle"] = torch.ones(2, requires_grad=True)

    def loss(weights, x):
        used = {name: value for name, value in weights.items() if name != "idle"}
        return -functional_call(given.network, used, (x,)).log_softmax(dim=1).sum()

    torch.testing.assert_close(together(loss, weights, x), one_by_one(loss, weights, x), rtol=1e-5, atol=0)


def test_the_network_is_left_as_it_is(toys):
    given = toys.norm_classifier()
    before = {name: value.clone() for name, value in given.network.state_dict().items()}
    with torch.no_grad():  # it switches gradients on itself
        weight_gradient_norms(given, View(toys.image_set("near", 3)))
    assert all(torch.equal(value, before[name]) for name, value in given.network.state_dict().items())
    assert not any(value.requires_grad or value.grad is not None for value in given.network.parameters())


def test_nan_is_refused_by_name(toys):
    given = toys.norm_classifier()
    given.network.conv.bias[0] = float("nan")
    with pytest.raises(NotFiniteError, match="gives NaN or infinity in gradients of its weights"):
        weight_gradient_norms(given, View(toys.image_set("near", 3)))
