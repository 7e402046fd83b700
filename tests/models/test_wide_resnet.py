import pytest
import torch
import torch.nn.functional as F

from ood_bench.models.wide_resnet import WideBlock, WideResNet


@pytest.mark.parametrize(("channels", "stride"), [(4, 2), (8, 1)])
def test_a_block_is_the_raw_sum_and_projects_what_is_already_active(channels, stride, toys):
    block = WideBlock(channels, 8, stride, 0.3).eval()
    x = torch.randn(2, channels, 6, 6)
    first = F.relu(toys.batch_norm(block.bn1, x))
    branch = F.conv2d(first, block.conv1.weight, stride=stride, padding=1)
    branch = F.conv2d(F.relu(toys.batch_norm(block.bn2, branch)), block.conv2.weight, padding=1)
    shortcut = x if channels == 8 else F.conv2d(first, block.convShortcut.weight, stride=stride)
    torch.testing.assert_close(block(x), shortcut + branch)
    assert block(x).min() < 0


def test_names_of_taps():
    network = WideResNet((3, 32, 32), 10, depth=28, widen=1)
    assert network.block_taps[10] == "block3.3"
    assert network.stage_taps == ("stem", "block1.4", "block2.4", "final")


@pytest.mark.parametrize("side", [29, 60])
def test_the_extreme_images_that_fit(side):
    assert WideResNet((3, side, side), 5, depth=10, widen=1)(torch.randn(2, 3, side, side)).shape == (2, 5)
