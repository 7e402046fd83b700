import torch
from torch import nn

from ood_bench.models.allconv import AllConv, SigmoidGELU


def test_the_window_sees_8x8_of_the_last_map():
    features = AllConv((3, 32, 32), 10).eval().features
    last = features[:31](torch.randn(1, 3, 32, 32))
    torch.testing.assert_close(features[31](last), last[:, :, :8, :8].mean(dim=(2, 3)))


def test_activation():
    x = torch.linspace(-4, 4, 9)
    torch.testing.assert_close(SigmoidGELU()(x), x / (1 + torch.exp(-1.702 * x)))
    torch.testing.assert_close(SigmoidGELU()(x), nn.functional.gelu(x), atol=0.03, rtol=0)
