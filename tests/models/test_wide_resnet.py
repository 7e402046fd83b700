import pytest
import torch
import torch.nn.functional as F

from ood_bench.errors import ConfigError
from ood_bench.models.wide_resnet import WideBlock, WideResNet


def test_published_parameter_names():
    state = WideResNet((3, 32, 32), 10, depth=28, widen=1).state_dict()
    parts = ("bn1.weight", "conv1.weight", "bn2.weight", "conv2.weight")
    assert {f"block{b}.layer.{i}.{part}" for b in (1, 2, 3) for i in range(4) for part in parts} <= set(state)
    assert {"conv1.weight", "bn1.weight", "fc.weight", "fc.bias", "block2.layer.0.convShortcut.weight"} <= set(state)
    assert "block2.layer.1.convShortcut.weight" not in state
    # Equal widths in and out of the first group at widening 1: no projection there.
    assert "block1.layer.0.convShortcut.weight" not in state


@pytest.mark.parametrize(("channels", "stride"), [(4, 2), (8, 1)])
def test_a_block_is_the_raw_sum_and_projects_what_is_already_active(channels, stride):
    block = WideBlock(channels, 8, stride, 0.3).eval()
    x = torch.randn(2, channels, 6, 6)

    def active(bn, value):
        return F.relu(F.batch_norm(value, bn.running_mean, bn.running_var, bn.weight, bn.bias))

    first = active(block.bn1, x)
    branch = F.conv2d(first, block.conv1.weight, stride=stride, padding=1)
    branch = F.conv2d(active(block.bn2, branch), block.conv2.weight, padding=1)
    shortcut = x if channels == 8 else F.conv2d(first, block.convShortcut.weight, stride=stride)
    torch.testing.assert_close(block(x), shortcut + branch)
    assert block(x).min() < 0


def test_names_and_sizes_of_taps():
    network = WideResNet((3, 32, 32), 10, depth=28, widen=1).eval()
    assert network.block_taps[10] == "block3.3"
    assert network.stage_taps == ("stem", "block1.4", "block2.4", "final")
    sides = {}
    for tap in network.block_taps:
        module = network.get_submodule(network.taps[tap])
        module.register_forward_hook(lambda _m, _i, value, tap=tap: sides.update({tap: value.shape[-1]}))
    network(torch.randn(1, 3, 32, 32))
    assert list(sides.values()) == [32] * 4 + [16] * 4 + [8] * 4


@pytest.mark.parametrize("side", [28, 61])
def test_images_that_do_not_fit_the_window(side):
    with pytest.raises(ConfigError, match=r"set model\.pool_window=0"):
        WideResNet((3, side, side), 5, depth=10, widen=1)
    images = torch.randn(2, 3, side, side)
    assert WideResNet((3, side, side), 5, depth=10, widen=1, pool_window=0)(images).shape == (2, 5)


@pytest.mark.parametrize("side", [29, 60])
def test_the_extreme_images_that_fit(side):
    assert WideResNet((3, side, side), 5, depth=10, widen=1)(torch.randn(2, 3, side, side)).shape == (2, 5)


def test_impossible_depth():
    with pytest.raises(ConfigError, match="not 6n"):
        WideResNet((3, 32, 32), 10, depth=27)
