"""Wide residual networks of pre-activation blocks, as ODIN, Outlier Exposure and FeatureNorm use them."""

from collections import OrderedDict
from typing import ClassVar

from torch import Tensor, nn

from ood_bench.errors import ConfigError
from ood_bench.models.layers import Pooled, block_paths, check_window, initialise


class WideBlock(nn.Module):
    """BN, ReLU, 3x3 convolution, BN, ReLU, dropout, 3x3 convolution; its output is the raw sum with the shortcut.

    Where the number of channels changes, the shortcut is a 1x1 convolution of what the first BN and ReLU gave, else
    it is the raw input.

    Args:
        channels: channels of the input.
        width: channels of the output.
        stride: stride of the first convolution.
        dropout: rate between the convolutions.
    """

    def __init__(self, channels: int, width: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        same = channels == width
        self.convShortcut = None if same else nn.Conv2d(channels, width, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, width, H / stride, W / stride]``, of either sign."""
        active = self.relu1(self.bn1(x))
        shortcut = x if self.convShortcut is None else self.convShortcut(active)
        branch = self.conv2(self.dropout(self.relu2(self.bn2(self.conv1(active)))))
        return shortcut + branch


def _group(channels: int, width: int, stride: int, blocks: int, dropout: float) -> nn.Sequential:
    """A chain of blocks of one width, under the name ``layer``."""
    first = WideBlock(channels, width, stride, dropout)
    rest = (WideBlock(width, width, 1, dropout) for _ in range(blocks - 1))
    return nn.Sequential(OrderedDict(layer=nn.Sequential(first, *rest)))


class WideResNet(nn.Module):
    """WRN-28-10: 36,479,194 parameters for 10 classes, 36,536,884 for 100; WRN-40-2: 2,243,546 for 10.

    Parameter names are those of ODIN's released checkpoints, which Outlier Exposure, energy_ood, FeatureNorm and the
    leave-out ensemble share.

    Taps: ``stem`` (the first convolution, raw), ``block{g}.{b}`` (group and block counted from 1; the raw residual
    sum, before the next batch norm), ``final`` (last BN and ReLU) and ``pooled``. ``block_taps`` names all blocks,
    FeatureNorm's candidates; its chosen "Block 3.3" is ``block3.3``.

    Source: Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016; layout of ODIN, arXiv 1706.02690.

    Args:
        shape: channels, height and width of the images; 29 to 60 pixels with the window of 8.
        classes: number of classes.
        depth: number of layers, 6n + 4.
        widen: factor on the widths 16, 32, 64.
        dropout: rate between a block's convolutions; 0 in ODIN and FeatureNorm, 0.3 in the others.
        pool_window: side of the last pooling's window; 0 averages over the whole map.

    Raises:
        ConfigError: if the depth is impossible, or the images do not fit the window.
    """

    penultimate: ClassVar[str] = "pooled"

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        depth: int = 28,
        widen: int = 10,
        dropout: float = 0.0,
        pool_window: int = 8,
    ) -> None:
        super().__init__()
        if depth < 10 or (depth - 4) % 6:
            raise ConfigError(f"wide_resnet: depth {depth} is not 6n + 4 (three groups of blocks of two layers)")
        check_window("wide_resnet", shape, pool_window, lambda side: (side + 3) // 4)
        count = (depth - 4) // 6
        paths = block_paths([count] * 3, "block{}.layer.{}")
        self.taps = {"stem": "conv1", **paths, "final": "relu", "pooled": "pool"}
        self.block_taps = tuple(paths)
        self.stage_taps = ("stem", f"block1.{count}", f"block2.{count}", "final")
        self.conv1 = nn.Conv2d(shape[0], 16, 3, padding=1, bias=False)
        self.block1 = _group(16, 16 * widen, 1, count, dropout)
        self.block2 = _group(16 * widen, 32 * widen, 2, count, dropout)
        self.block3 = _group(32 * widen, 64 * widen, 2, count, dropout)
        self.bn1 = nn.BatchNorm2d(64 * widen)
        self.relu = nn.ReLU()
        self.pool = Pooled(pool_window)
        self.fc = nn.Linear(64 * widen, classes)
        initialise(self, zero_linear_bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]`` of normalised images ``[B, C, H, W]``."""
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(self.pool(self.relu(self.bn1(x))))
