import pytest
import torch
import torch.nn.functional as F

from ood_bench.errors import ConfigError
from ood_bench.models.resnet import BasicBlock, PaddingShortcut, ResNet

SMALL = {"blocks": (3, 3, 3), "widths": (16, 32, 64), "shortcut": "padding"}
LARGE = {"blocks": (3, 4, 6, 3), "widths": (64, 128, 256, 512)}


def test_published_parameter_names():
    names = set(ResNet((3, 32, 32), 10).state_dict())
    assert {"conv1.weight", "bn1.running_var", "layer1.0.conv1.weight", "layer4.1.bn2.bias", "linear.bias"} <= names
    assert {"layer2.0.shortcut.0.weight", "layer2.0.shortcut.1.running_mean"} <= names
    assert not any("shortcut" in name for name in names if name.startswith("layer1"))
    assert not any("shortcut" in name for name in ResNet((3, 32, 32), 10, **SMALL).state_dict())


@pytest.mark.parametrize(("padding", "sides"), [(1, [32, 16, 8, 4]), (2, [34, 17, 9, 5])])
def test_map_sizes_of_featurenorms_two_paddings(padding, sides):
    network = ResNet((3, 32, 32), 10, blocks=(1, 1, 1, 1), widths=(4, 8, 16, 32), stem_padding=padding)
    x = F.relu(network.bn1(network.conv1(torch.randn(1, 3, 32, 32))))
    for stage, side in enumerate(sides, 1):
        x = network.get_submodule(f"layer{stage}")(x)
        assert x.shape[2:] == (side, side)


def test_names_of_taps():
    network = ResNet((3, 32, 32), 10, **LARGE)
    assert network.stage_taps == ("stem", "block1.3", "block2.4", "block3.6", "block4.3")
    assert len(network.block_taps) == 16
    assert network.taps["block4.1"] == "layer4.0"
    assert list(network.taps) == ["stem", *network.block_taps, "pooled"]


def test_a_block_is_what_the_papers_formula_says():
    block = BasicBlock(4, 8, 2, "projection").eval()
    x = torch.randn(2, 4, 6, 6)

    def norm(bn, value):
        return F.batch_norm(value, bn.running_mean, bn.running_var, bn.weight, bn.bias)

    inner = F.relu(norm(block.bn1, F.conv2d(x, block.conv1.weight, stride=2, padding=1)))
    branch = norm(block.bn2, F.conv2d(inner, block.conv2.weight, padding=1))
    short = norm(block.shortcut[1], F.conv2d(x, block.shortcut[0].weight, stride=2))
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


@pytest.mark.parametrize("options", [{"shortcut": "none"}, {"init": "zeros"}, {"blocks": (1, 1)}, {"blocks": (0,) * 4}])
def test_impossible_options(options):
    with pytest.raises(ConfigError, match="resnet: "):
        ResNet((3, 32, 32), 10, **options)


def test_grey_images_of_another_size():
    assert ResNet((1, 28, 28), 7, **SMALL)(torch.randn(2, 1, 28, 28)).shape == (2, 7)
