"""DenseNet-BC for 32-pixel images, as ODIN and its successors use it."""

from collections import OrderedDict
from typing import ClassVar

import torch
from torch import Tensor, nn

from ood_bench.errors import ConfigError
from ood_bench.models.layers import Pooled, check_window, initialise

_STEM_FACTOR, _BOTTLENECK = 2, 4


class Bottleneck(nn.Module):
    """BN, ReLU, 1x1 convolution to ``4 * growth`` channels, BN, ReLU, 3x3 convolution to ``growth``; appended to ``x``.

    Args:
        channels: channels of the input.
        growth: channels that are added.
        dropout: rate after each convolution.
    """

    def __init__(self, channels: int, growth: int, dropout: float) -> None:
        super().__init__()
        inner = _BOTTLENECK * growth
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.dropout1 = nn.Dropout(dropout)
        self.bn2 = nn.BatchNorm2d(inner)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(inner, growth, 3, padding=1, bias=False)
        self.dropout2 = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C + growth, H, W]`` of a map ``[B, C, H, W]``."""
        new = self.dropout1(self.conv1(self.relu1(self.bn1(x))))
        new = self.dropout2(self.conv2(self.relu2(self.bn2(new))))
        return torch.cat([x, new], dim=1)


def _dense_block(channels: int, growth: int, layers: int, dropout: float) -> nn.Sequential:
    """A chain of bottlenecks, each seeing what all before it have made, under the name ``layer``."""
    chain = (Bottleneck(channels + i * growth, growth, dropout) for i in range(layers))
    return nn.Sequential(OrderedDict(layer=nn.Sequential(*chain)))


def transition(channels: int, out_channels: int, dropout: float) -> nn.Sequential:
    """BN, ReLU, 1x1 convolution, 2x2 average pooling."""
    return nn.Sequential(
        OrderedDict(
            bn1=nn.BatchNorm2d(channels),
            relu=nn.ReLU(),
            conv1=nn.Conv2d(channels, out_channels, 1, bias=False),
            dropout=nn.Dropout(dropout),
            pool=nn.AvgPool2d(2),
        )
    )


class DenseNet(nn.Module):
    """DenseNet-BC; depth 100 and growth 12 give 769,162 parameters for 10 classes, 800,032 for 100.

    Parameter names are those of ODIN's released checkpoints. Channels at depth 100, growth 12: 24, then 216 and 108,
    300 and 150, 342 after the blocks and transitions.

    Taps: ``stem`` (the first convolution, raw), ``block1..3`` (a dense block's map, raw), ``trans1..2`` (after a
    transition's pooling), ``final`` (last BN and ReLU) and ``pooled``.

    Source: Huang et al., "Densely Connected Convolutional Networks", CVPR 2017; layout of ODIN, arXiv 1706.02690.

    Args:
        shape: channels, height and width of the images; 32 to 63 pixels with the window of 8.
        classes: number of classes.
        depth: number of layers, 3n + 4 with n even.
        growth: channels that each bottleneck adds.
        compression: share of the channels that a transition keeps.
        dropout: rate after each convolution but the first.
        pool_window: side of the last pooling's window; 0 averages over the whole map.
    """

    taps: ClassVar[dict[str, str]] = {
        name: {"stem": "conv1", "final": "relu", "pooled": "pool"}.get(name, name)
        for name in ("stem", "block1", "trans1", "block2", "trans2", "block3", "final", "pooled")
    }
    stage_taps: ClassVar[tuple[str, ...]] = ("stem", "trans1", "trans2", "final")
    penultimate: ClassVar[str] = "pooled"

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        depth: int = 100,
        growth: int = 12,
        compression: float = 0.5,
        dropout: float = 0.0,
        pool_window: int = 8,
    ) -> None:
        super().__init__()
        if depth < 10 or (depth - 4) % 6:
            raise ConfigError(f"densenet: depth {depth} is not 6n + 4 (three blocks of bottlenecks of two layers)")
        check_window("densenet", shape, pool_window, lambda side: side // 2 // 2)
        layers = (depth - 4) // 6
        channels = _STEM_FACTOR * growth
        self.conv1 = nn.Conv2d(shape[0], channels, 3, padding=1, bias=False)
        self.block1 = _dense_block(channels, growth, layers, dropout)
        channels += layers * growth
        self.trans1 = transition(channels, kept := int(channels * compression), dropout)
        self.block2 = _dense_block(kept, growth, layers, dropout)
        channels = kept + layers * growth
        self.trans2 = transition(channels, kept := int(channels * compression), dropout)
        self.block3 = _dense_block(kept, growth, layers, dropout)
        channels = kept + layers * growth
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.pool = Pooled(pool_window)
        self.fc = nn.Linear(channels, classes)
        initialise(self, zero_linear_bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]`` of normalised images ``[B, C, H, W]``."""
        x = self.trans1(self.block1(self.conv1(x)))
        x = self.block3(self.trans2(self.block2(x)))
        return self.fc(self.pool(self.relu(self.bn1(x))))
