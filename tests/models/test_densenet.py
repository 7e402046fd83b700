import pytest
import torch
import torch.nn.functional as F

from ood_bench.errors import ConfigError
from ood_bench.models.densenet import Bottleneck, DenseNet, transition

TINY = {"depth": 16, "growth": 4}


def test_channels_of_the_maps():
    network = DenseNet((3, 32, 32), 10).eval()
    x = network.conv1(torch.randn(1, 3, 32, 32))
    shapes = [tuple(x.shape[1:])]
    for name in ("block1", "trans1", "block2", "trans2", "block3"):
        x = network.get_submodule(name)(x)
        shapes.append(tuple(x.shape[1:]))
    assert [channels for channels, _, _ in shapes] == [24, 216, 108, 300, 150, 342]
    assert [side for _, side, _ in shapes] == [32, 32, 16, 16, 8, 8]


def test_published_parameter_names():
    state = DenseNet((3, 32, 32), 10).state_dict()
    parts = ("bn1.weight", "conv1.weight", "bn2.weight", "conv2.weight")
    blocks = {f"block{b}.layer.{i}.{part}" for b in (1, 2, 3) for i in range(16) for part in parts}
    others = {"conv1.weight", "trans1.bn1.weight", "trans2.conv1.weight", "bn1.weight", "fc.weight", "fc.bias"}
    assert blocks | others <= set(state)
    assert not {name for name in state if name.endswith("conv1.bias")}


def norm(bn, value):
    return F.batch_norm(value, bn.running_mean, bn.running_var, bn.weight, bn.bias)


def test_a_bottleneck_appends_to_its_input():
    layer = Bottleneck(6, 4, 0.0).eval()
    x = torch.randn(2, 6, 5, 5)
    inner = F.conv2d(F.relu(norm(layer.bn1, x)), layer.conv1.weight)
    assert inner.shape[1] == 16
    new = F.conv2d(F.relu(norm(layer.bn2, inner)), layer.conv2.weight, padding=1)
    torch.testing.assert_close(layer(x), torch.cat([x, new], dim=1))


def test_a_transition_halves_the_map():
    layer = transition(6, 3, 0.0).eval()
    x = torch.randn(2, 6, 4, 4)
    expected = F.avg_pool2d(F.conv2d(F.relu(norm(layer.bn1, x)), layer.conv1.weight), 2)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("side", [32, 36, 63])
def test_the_window_of_8_sees_the_upper_left_part_of_larger_maps(side):
    network = DenseNet((3, side, side), 5, **TINY).eval()
    image = torch.randn(1, 3, side, side)
    x = network.block3(network.trans2(network.block2(network.trans1(network.block1(network.conv1(image))))))
    expected = network.fc(F.relu(norm(network.bn1, x))[:, :, :8, :8].mean(dim=(2, 3)))
    torch.testing.assert_close(network(image), expected)


@pytest.mark.parametrize("side", [28, 31, 64])
def test_images_that_do_not_fit_the_window(side):
    with pytest.raises(ConfigError, match=r"set model\.pool_window=0"):
        DenseNet((3, side, side), 5, **TINY)
    assert DenseNet((3, side, side), 5, pool_window=0, **TINY)(torch.randn(2, 3, side, side)).shape == (2, 5)


def test_impossible_options():
    with pytest.raises(ConfigError, match="not 6n"):
        DenseNet((3, 32, 32), 10, depth=99)
    with pytest.raises(ConfigError, match="too small"):
        DenseNet((3, 3, 3), 10, pool_window=0)


def test_initialisation():
    torch.manual_seed(0)
    network = DenseNet((3, 32, 32), 10)
    assert network.block3.layer[15].conv1.weight.std().item() == pytest.approx((2 / 48) ** 0.5, rel=0.05)
    assert network.fc.bias.abs().sum() == 0
    assert network.fc.weight.abs().max() <= 342**-0.5
