import pytest
import torch
from torch import nn

from ood_bench.errors import ConfigError
from ood_bench.models.vgg import VGG11


def test_published_parameter_names():
    convolutions = (0, 3, 6, 8, 11, 13, 16, 18)
    names = [f"features.{index}" for index in convolutions] + [f"classifier.{index}" for index in (0, 3, 6)]
    assert list(VGG11((3, 32, 32), 10).state_dict()) == [
        f"{name}.{part}" for name in names for part in ("weight", "bias")
    ]


def test_featurenorms_candidates():
    network = VGG11((3, 32, 32), 10).eval()
    shapes = {}
    for tap in network.block_taps:
        module = network.get_submodule(network.taps[tap])
        module.register_forward_hook(lambda _m, _i, value, tap=tap: shapes.update({tap: tuple(value.shape[1:])}))
    network(torch.randn(1, 3, 32, 32))
    assert list(shapes.values()) == [
        (64, 32, 32),
        (128, 16, 16),
        (256, 8, 8),
        (256, 4, 4),
        (512, 4, 4),
        (512, 4, 4),
        (512, 2, 2),
        (512, 2, 2),
    ]
    assert isinstance(network.get_submodule(network.taps["pool4"]), nn.MaxPool2d)
    assert network.block_taps[5] == "conv6"


def test_biases_start_at_zero():
    network = VGG11((3, 32, 32), 10)
    assert all(value.abs().sum() == 0 for name, value in network.state_dict().items() if name.endswith("bias"))


def test_small_images_are_refused():
    with pytest.raises(ConfigError, match="need 32x32"):
        VGG11((1, 28, 28), 10)
