import pytest
import torch
from torch import nn

from ood_bench.errors import ConfigError
from ood_bench.models.allconv import AllConv, SigmoidGELU


def test_published_parameter_names():
    held = [name for name in AllConv((3, 32, 32), 10).state_dict() if name.endswith("weight")]
    convolutions = [0, 3, 6, 11, 14, 17, 22, 25, 28]
    batch_norms = [number + 1 for number in convolutions]
    expected = [f"features.{number}.weight" for pair in zip(convolutions, batch_norms, strict=True) for number in pair]
    assert held == [*expected, "classifier.weight"]


def test_maps_of_a_small_image():
    """The 1x1 convolutions pad, so that the last map is larger than the one before; the window sees 8x8 of it."""
    network, shapes = AllConv((3, 32, 32), 10).eval(), {}
    for tap in network.block_taps:
        module = network.get_submodule(network.taps[tap])
        module.register_forward_hook(lambda _m, _i, value, tap=tap: shapes.update({tap: tuple(value.shape[1:])}))
    image = torch.randn(1, 3, 32, 32)
    network(image)
    assert list(shapes.values()) == [
        *[(96, 32, 32)] * 3,
        *[(192, 16, 16)] * 3,
        (192, 6, 6),
        (192, 8, 8),
        (192, 10, 10),
    ]
    last = network.features[:31](image)
    torch.testing.assert_close(network.features[31](last), last[:, :, :8, :8].mean(dim=(2, 3)))


def test_activation():
    x = torch.linspace(-4, 4, 9)
    torch.testing.assert_close(SigmoidGELU()(x), x / (1 + torch.exp(-1.702 * x)))
    torch.testing.assert_close(SigmoidGELU()(x), nn.functional.gelu(x), atol=0.03, rtol=0)


@pytest.mark.parametrize("side", [23, 56])
def test_images_that_its_window_does_not_fit_are_refused(side):
    with pytest.raises(ConfigError, match="must have 24 to 55 pixels"):
        AllConv((3, side, 32), 10)
