import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ood_bench.errors import ConfigError
from ood_bench.models.classifier import build_network
from ood_bench.models.lenet import LeNet, LeNetMCDropout

GREY = (1, 28, 28)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def by_hand(network, x, last, *, rectified):
    """All taps by the layers' formulas, without dropout."""
    conv1 = F.relu(F.conv2d(x, network.conv1.weight, network.conv1.bias))
    conv2 = F.relu(F.conv2d(conv1, network.conv2.weight, network.conv2.bias))
    fc1 = F.max_pool2d(conv2, 2).flatten(1) @ network.fc1.weight.T + network.fc1.bias
    fc1 = F.relu(fc1) if rectified else fc1
    return {"conv1": conv1, "conv2": conv2, "fc1": fc1, "logits": fc1 @ last.weight.T + last.bias}


@pytest.mark.parametrize("kind", [LeNet, LeNetMCDropout])
def test_shapes_are_those_of_the_authors_checkpoints(kind):
    state = kind(GREY, 10).state_dict()
    assert tuple(state["fc1.weight"].shape) == (128, 9216)
    assert tuple(state["conv2.weight"].shape) == (64, 32, 3, 3)


@pytest.mark.parametrize(("kind", "last"), [(LeNet, "fc2"), (LeNetMCDropout, "fc_last")])
def test_taps_come_in_order_with_the_values_of_the_formulas(kind, last, toys):
    network, x = kind(GREY, 10).eval(), torch.randn(3, *GREY)
    with torch.no_grad():
        logits, found = toys.tapped(network, network.taps, x)
        expected = by_hand(network, x, getattr(network, last), rectified=kind is LeNet)
    assert list(found) == list(network.taps) == ["conv1", "conv2", "fc1", "logits"]
    shapes = [tuple(value.shape[1:]) for value in found.values()]
    assert shapes == [(32, 26, 26), (64, 24, 24), (128,), (10,)]  # conv2 before pooling
    for tap, value in expected.items():
        torch.testing.assert_close(found[tap], value, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logits, found["logits"], rtol=0, atol=0)
    assert network.penultimate == "fc1"
    assert (found["fc1"] < 0).any().item() == (kind is LeNetMCDropout)


@pytest.mark.parametrize("kind", [LeNet, LeNetMCDropout])
@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 6, 6), (2, 9, 12)])
def test_other_image_sizes(kind, shape):
    assert kind(shape, 4).eval()(torch.zeros(2, *shape)).shape == (2, 4)


@pytest.mark.parametrize("kind", [LeNet, LeNetMCDropout])
@pytest.mark.parametrize("shape", [(1, 5, 28), (1, 28, 5), (3, 1, 1)])
def test_images_that_are_too_small(kind, shape):
    with pytest.raises(ConfigError, match=f"lenet needs images of at least 6x6 pixels, not {shape[1]}x{shape[2]}"):
        kind(shape, 10)


def recorded(network, x):
    """Input and output of every call of a dropout layer, in order."""
    calls = []
    for module in network.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.register_forward_hook(lambda one, given, made: calls.append((one, given[0].clone(), made.clone())))
    network(x)
    return calls


def test_dropout_while_training():
    """Whole channels after pooling at 0.25, single values of the hidden layer at 0.5."""
    (first, pooled, kept), (second, hidden, left) = recorded(LeNet((1, 12, 12), 10).train(), torch.randn(60, 1, 12, 12))
    assert (first.p, pooled.shape) == (0.25, (60, 64, 4, 4))
    alive = kept.flatten(2).abs().sum(dim=2) > 0
    torch.testing.assert_close(kept, pooled / 0.75 * alive[:, :, None, None])
    assert 0.2 < 1 - alive[pooled.flatten(2).abs().sum(dim=2) > 0].float().mean().item() < 0.3
    assert (second.p, hidden.shape) == (0.5, (60, 128))
    torch.testing.assert_close(left, 2 * hidden * (left != 0))
    assert 0.45 < (left[hidden > 0] == 0).float().mean().item() < 0.55


def test_mc_dropout_acts_in_four_places_also_on_the_image():
    x = torch.rand(20, 1, 12, 12) + 0.1
    calls = recorded(LeNetMCDropout((1, 12, 12), 10, rate=0.25).train(), x)
    assert [tuple(given.shape[1:]) for _, given, _ in calls] == [(1, 12, 12), (32, 10, 10), (64, 4, 4), (128,)]
    torch.testing.assert_close(calls[0][1], x)
    for _, given, made in calls:
        torch.testing.assert_close(made, given / 0.75 * (made != 0))
        assert 0.2 < (made[given != 0] == 0).float().mean().item() < 0.3
    # Single values of the maps are dropped, not whole channels.
    assert all((made.flatten(2).abs().sum(dim=2) > 0).float().mean() > 0.8 for _, _, made in calls[1:3])


def test_the_shipped_file_and_its_variant(toys):
    model = toys.content("model", "lenet")
    network, variant = (build_network(one, GREY, 10) for one in (model, model["variants"]["mc_dropout"]))
    assert (type(network), network.channel_dropout.p, network.dropout.p) == (LeNet, 0.25, 0.5)
    assert (type(variant), variant.dropout.p) == (LeNetMCDropout, 0.5)
