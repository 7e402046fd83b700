import pytest
import torch
import torch.nn.functional as F

from ood_bench.models.resnet import BasicBlock, PaddingShortcut, ResNet

SMALL = {"blocks": (3, 3, 3), "widths": (16, 32, 64), "shortcut": "padding"}
LARGE = {"blocks": (3, 4, 6, 3), "widths": (64, 128, 256, 512)}


def test_names_of_taps():
    network = ResNet((3, 32, 32), 10, **LARGE)
    assert network.stage_taps == ("stem", "block1.3", "block2.4", "block3.6", "block4.3")
    assert len(network.block_taps) == 16
    assert network.taps["block4.1"] == "layer4.0"
    assert list(network.taps) == ["stem", *network.block_taps, "pooled"]


def test_a_block_is_what_the_papers_formula_says(toys):
    block = BasicBlock(4, 8, 2, "projection").eval()
    x = torch.randn(2, 4, 6, 6)
    inner = F.relu(toys.batch_norm(block.bn1, F.conv2d(x, block.conv1.weight, stride=2, padding=1)))
    branch = toys.batch_norm(block.bn2, F.conv2d(inner, block.conv2.weight, padding=1))
    short = toys.batch_norm(block.shortcut[1], F.conv2d(x, block.shortcut[0].weight, stride=2))
    torch.testing.assert_close(block(x), F.relu(branch + short))


def test_padding_shortcut_puts_the_old_channels_in_the_middle():
    x = torch.arange(2 * 4 * 4, dtype=torch.float32).view(1, 2, 4, 4)
    wide = PaddingShortcut(4, 2)(x)
    assert wide.shape == (1, 4, 2, 2)
    assert wide[0, 0].abs().sum() == wide[0, 3].abs().sum() == 0
    assert wide[0, 1].tolist() == [[0, 2], [8, 10]]


def test_initialisations_differ_as_they_should():
    torch.manual_seed(0)
    by_outputs = ResNet((3, 32, 32), 10, init="fan_out")
    assert by_outputs.layer4[0].conv1.weight.std().item() == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.02)
    by_inputs = ResNet((3, 32, 32), 10, init="fan_in")
    assert by_inputs.layer4[0].conv1.weight.std().item() == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.02)
    assert by_inputs.linear.weight.std().item() == pytest.approx((2 / 512) ** 0.5, rel=0.1)


def test_grey_images_of_another_size():
    assert ResNet((1, 28, 28), 7, **SMALL)(torch.randn(2, 1, 28, 28)).shape == (2, 7)
