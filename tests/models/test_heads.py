"""Heads of generalized ODIN against their formulas, and on every network that can take them."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from ood_bench.errors import ConfigError
from ood_bench.models import heads
from ood_bench.models.classifier import Classifier, build_network, freeze
from ood_bench.models.resnet_v2 import ResNetV2
from ood_bench.utils.configs import options

LENET = {"_target_": "ood_bench.models.lenet.LeNet", "name": "lenet", "channel_dropout": 0.0, "dropout": 0.0}


def slow_h(head, z, weight, bias):
    """Similarity of one feature vector to one class, from plain floats."""
    dot = sum(a * b for a, b in zip(z, weight, strict=True))
    squares = [(a - b) ** 2 for a, b in zip(z, weight, strict=True)]
    length, other = (math.sqrt(sum(value * value for value in vector)) for vector in (z, weight))
    return {
        "godin_inner": dot + bias,
        "godin_euclidean": -sum(squares) / len(squares),
        "godin_euclidean_sum": -sum(squares),
        "godin_cosine": dot / ((length + 1e-4) * (other + 1e-4)),
    }[head]


def slow_g(z, head):
    """Confidence of one feature vector in evaluation mode."""
    linear, norm, _ = head.parts.g
    before = sum(a * b for a, b in zip(z, linear.weight[0].tolist(), strict=True)) + linear.bias.item()
    scaled = (before - norm.running_mean.item()) / math.sqrt(norm.running_var.item() + norm.eps)
    return 1 / (1 + math.exp(-(scaled * norm.weight.item() + norm.bias.item())))


@pytest.fixture(params=heads.DECOMPOSED)
def network(request):
    """A float64 LeNet with each head, g's batch norm in a state unlike a fresh one's."""
    torch.manual_seed(0)
    network = build_network({**LENET, "head": request.param}, (1, 8, 8), 3).double()
    norm = network.fc2.parts.g[1]
    for values in (norm.running_mean, norm.running_var, norm.weight.data, norm.bias.data):
        values.uniform_(0.3, 1.5)
    if request.param == "godin_inner":
        network.fc2.parts.h.bias.data.normal_()
    network.head_name = request.param
    return freeze(network)


def test_logits_are_similarity_over_confidence(network):
    x = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    features = []
    network.relu3.register_forward_hook(lambda *found: features.append(found[2]))
    logits = network(x)
    head = network.fc2
    for row, z in zip(logits.tolist(), features[0].tolist(), strict=True):
        bias = getattr(head.parts.h, "bias", torch.zeros(3)).tolist()
        expected = [
            slow_h(network.head_name, z, weight, one) / slow_g(z, head)
            for weight, one in zip(head.parts.h.weight.tolist(), bias, strict=True)
        ]
        np.testing.assert_allclose(row, expected, rtol=1e-10)


def test_taps_hold_h_and_g(network):
    classifier = Classifier(network, (0.0,), (1.0,))
    assert list(classifier.taps)[-3:] == ["h", "g", heads.PARTS]
    found = {}
    for tap in ("h", "g", heads.PARTS):
        module = network.get_submodule(classifier.taps[tap])
        module.register_forward_hook(lambda *given, tap=tap: found.update({tap: given[2]}))
    logits = network(torch.randn(4, 1, 8, 8, dtype=torch.float64))
    assert (found["h"].shape, found["g"].shape) == ((4, 3), (4, 1))
    torch.testing.assert_close(found["h"] / found["g"], logits, rtol=0, atol=0)
    torch.testing.assert_close(torch.cat([found["h"], found["g"]], dim=1), found[heads.PARTS], rtol=0, atol=0)


def test_autocast_does_not_reach_the_head(network):
    single = network.float()
    z = torch.rand(4, 128)
    with torch.autocast("cpu", torch.bfloat16):
        under = single.fc2(z.bfloat16())
    torch.testing.assert_close(under, single.fc2(z.bfloat16().float()), rtol=0, atol=0)


@pytest.mark.parametrize("name", options("model"))
def test_every_shipped_network_wears_a_head(name, toys):
    with torch.device("meta"):
        linear, network, turned = (
            build_network({**toys.content("model", name), "head": head}, (3, 32, 32), 10)
            for head in ("linear", "godin_cosine", "rotation")
        )
    path, last = [found for found in linear.named_modules() if isinstance(found[1], nn.Linear)][-1]
    assert heads.head_taps(network) == {
        tap: f"{path}.{inner}" for tap, inner in heads.DecomposedConfidence.taps.items()
    }
    assert network.get_submodule(f"{path}.parts.h").weight.shape == (10, last.in_features)
    assert heads.head_taps(turned) == {"rotation": f"{path}.rotation"}
    assert heads.last_linear(turned)[0] == f"{path}.classes"
    assert turned.get_submodule(f"{path}.rotation").weight.shape == (4, last.in_features)


def test_the_linear_head_changes_nothing():
    networks = []
    for model in (LENET, {**LENET, "head": "linear"}):
        torch.manual_seed(3)
        networks.append(build_network(model, (1, 8, 8), 3))
    first, second = (network.state_dict() for network in networks)
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert heads.head_taps(networks[1]) == {}


def test_a_title_names_the_head_unless_it_is_linear():
    assert [heads.model_title(model) for model in (LENET, {**LENET, "head": "linear"})] == ["lenet", "lenet"]
    assert heads.model_title({**LENET, "head": "godin_cosine"}) == "lenet+godin_cosine"


def test_weights_start_from_hes_distribution():
    torch.manual_seed(0)
    plain = heads.InnerProduct(50, 4000)
    assert plain.weight.std().item() == pytest.approx(math.sqrt(2 / 50), rel=0.01)
    assert not plain.bias.any()
    keras = heads.Cosine(50, 4000, truncated=True).weight
    assert keras.std().item() == pytest.approx(math.sqrt(2 / 50), rel=0.01)
    assert keras.abs().max().item() <= 2 * math.sqrt(2 / 50) / 0.879
    assert plain.weight.abs().max().item() > 2.5 * math.sqrt(2 / 50)


def test_an_unknown_head_is_refused():
    with pytest.raises(ConfigError, match=r"model\.head is 'round': choose one of linear, godin_inner"):
        build_network({**LENET, "head": "round"}, (1, 8, 8), 3)


def test_a_network_without_a_last_linear_layer_is_refused():
    with pytest.raises(ConfigError, match=r"Sequential does not end in a linear layer to 3"):
        heads.attach_head(nn.Sequential(nn.Linear(4, 5)), "godin_inner", 3)
    with pytest.raises(ConfigError, match=r"Sequential does not end in a linear layer"):
        heads.attach_head(nn.Sequential(nn.ReLU()), "godin_inner", 3)


def test_g_starts_as_keras_where_a_network_asks_for_it():
    torch.manual_seed(0)
    network = ResNetV2((3, 32, 32), 10, g_start="glorot")
    heads.attach_head(network, "godin_cosine", 10)
    linear = network.fc.parts.g[0]
    limit = (6 / (256 + 1)) ** 0.5  # of Glorot's uniform distribution
    assert float(linear.weight.abs().max()) == pytest.approx(limit, rel=0.05)
    assert torch.equal(linear.bias, torch.zeros(1))
    other = ResNetV2((3, 32, 32), 10)
    heads.attach_head(other, "godin_cosine", 10)
    assert other.fc.parts.g[0].weight.abs().max() <= 1 / 16
