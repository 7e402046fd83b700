"""What every network of the package is held to: published parameter names, sizes of maps, what it refuses."""

from functools import partial

import pytest
import torch

from ood_bench.errors import ConfigError
from ood_bench.models.allconv import AllConv
from ood_bench.models.densenet import DenseNet
from ood_bench.models.lenet import LeNet, LeNetMCDropout
from ood_bench.models.resnet import ResNet
from ood_bench.models.resnet_v2 import ResNetV2
from ood_bench.models.vgg import VGG11
from ood_bench.models.wide_resnet import WideResNet

ALLCONV = (0, 3, 6, 11, 14, 17, 22, 25, 28)
BOTTLENECK = ("bn1.weight", "conv1.weight", "bn2.weight", "conv2.weight")
THIN = partial(WideResNet, depth=28, widen=1)
SMALL = partial(ResNet, blocks=(3, 3, 3), widths=(16, 32, 64), shortcut="padding")
NARROW = {"blocks": (1,) * 4, "widths": (4, 8, 16, 32)}


@pytest.mark.parametrize(
    ("network", "layers"),
    [
        (AllConv, [*(f"features.{i + j}" for i in ALLCONV for j in (0, 1)), "classifier"]),
        (VGG11, [*(f"features.{i}" for i in (0, 3, 6, 8, 11, 13, 16, 18)), *(f"classifier.{i}" for i in (0, 3, 6))]),
        (LeNet, ["conv1", "conv2", "fc1", "fc2"]),
        (LeNetMCDropout, ["conv1", "conv2", "fc1", "fc_last"]),
    ],
)
def test_all_published_parameter_names(network, layers):
    names = [name for name, _ in network((3, 32, 32), 10).named_parameters()]
    assert names == [f"{layer}.{part}" for layer in layers for part in ("weight", "bias")]


@pytest.mark.parametrize(
    ("network", "held", "absent"),
    [
        (
            DenseNet,
            [
                *(f"block{b}.layer.{i}.{part}" for b in (1, 2, 3) for i in range(16) for part in BOTTLENECK),
                *("conv1.weight", "trans1.bn1.weight", "trans2.conv1.weight", "bn1.weight", "fc.weight", "fc.bias"),
            ],
            ["conv1.bias"],
        ),
        (
            ResNet,
            [
                *("conv1.weight", "bn1.running_var", "layer1.0.conv1.weight", "layer4.1.bn2.bias", "linear.bias"),
                *("layer2.0.shortcut.0.weight", "layer2.0.shortcut.1.running_mean"),
            ],
            ["layer1.0.shortcut", "layer1.1.shortcut"],
        ),
        (SMALL, [], ["shortcut"]),
        (
            THIN,
            [
                *(f"block{b}.layer.{i}.{part}" for b in (1, 2, 3) for i in range(4) for part in BOTTLENECK),
                *("conv1.weight", "bn1.weight", "fc.weight", "fc.bias", "block2.layer.0.convShortcut.weight"),
            ],
            # Equal widths in and out of the first group at widening 1: no projection there.
            ["block2.layer.1.convShortcut", "block1.layer.0.convShortcut"],
        ),
    ],
)
def test_published_parameter_names(network, held, absent):
    names = list(network((3, 32, 32), 10).state_dict())
    assert set(held) <= set(names)
    assert [name for name in names for part in absent if part in name] == []


@pytest.mark.parametrize(
    ("network", "taps", "shapes"),
    [
        # The 1x1 convolutions pad, so that the last map is larger than the one before.
        (AllConv, None, [*[(96, 32, 32)] * 3, *[(192, 16, 16)] * 3, (192, 6, 6), (192, 8, 8), (192, 10, 10)]),
        (DenseNet, ["stem", "block1", "trans1"], [(24, 32, 32), (216, 32, 32), (108, 16, 16)]),
        (DenseNet, ["block2", "trans2", "block3"], [(300, 16, 16), (150, 8, 8), (342, 8, 8)]),
        (partial(ResNet, **NARROW), None, [(4, 32, 32), (8, 16, 16), (16, 8, 8), (32, 4, 4)]),
        # FeatureNorm's padding of the stem
        (partial(ResNet, **NARROW, stem_padding=2), None, [(4, 34, 34), (8, 17, 17), (16, 9, 9), (32, 5, 5)]),
        (ResNetV2, ["final", "pooled"], [(256, 8, 8), (256,)]),
        (THIN, None, [*[(16, 32, 32)] * 4, *[(32, 16, 16)] * 4, *[(64, 8, 8)] * 4]),
        (VGG11, None, [(64, 32, 32), (128, 16, 16), (256, 8, 8), (256, 4, 4), *[(512, 4, 4)] * 2, *[(512, 2, 2)] * 2]),
    ],
)
def test_shapes_of_maps(network, taps, shapes, toys):
    """Of all block taps, or of the named ones, in the order in which they come up."""
    built = network((3, 32, 32), 10).eval()
    _, found = toys.tapped(built, taps or built.block_taps, torch.randn(1, 3, 32, 32))
    assert list(found) == list(taps or built.block_taps)
    assert [tuple(value.shape[1:]) for value in found.values()] == shapes


@pytest.mark.parametrize(
    ("network", "side", "message"),
    [
        *[(partial(DenseNet, depth=depth), 32, f"depth {depth} is not 6n") for depth in (4, 99)],
        *[(partial(WideResNet, depth=depth), 32, f"depth {depth} is not 6n") for depth in (4, 27)],
        *[(partial(ResNetV2, depth=depth), 32, rf"depth {depth} is not 9n \+ 2") for depth in (2, 14, 18)],
        *[(AllConv, side, "must have 24 to 55 pixels") for side in (23, 56)],
        (partial(DenseNet, pool_window=0), 3, "too small"),
        (VGG11, 28, "need 32x32"),
        *[(partial(ResNet, **given), 32, "resnet: ") for given in ({"shortcut": "none"}, {"init": "zeros"})],
        *[(partial(ResNet, blocks=blocks), 32, "resnet: ") for blocks in ((1, 1), (0,) * 4)],
    ],
)
def test_impossible_depths_options_and_images_are_refused(network, side, message):
    with pytest.raises(ConfigError, match=message):
        network((3, side, 32), 10)


@pytest.mark.parametrize(
    ("network", "sides"),
    [
        (partial(DenseNet, depth=16, growth=4), (28, 31, 64)),
        (partial(WideResNet, depth=10, widen=1), (28, 61)),
    ],
)
def test_images_that_do_not_fit_the_window(network, sides):
    for side in sides:
        with pytest.raises(ConfigError, match=r"set model\.pool_window=0"):
            network((3, side, side), 5)
        assert network((3, side, side), 5, pool_window=0)(torch.randn(2, 3, side, side)).shape == (2, 5)
