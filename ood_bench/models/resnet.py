"""Residual networks of basic blocks for 32-pixel images: 3x3 stem, no max-pooling."""

from collections.abc import Sequence
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from ood_bench.errors import ConfigError
from ood_bench.models.layers import Pooled, block_paths, initialise

_SHORTCUTS = ("projection", "padding")
_INITS = ("torch", "fan_out", "fan_in")


class PaddingShortcut(nn.Module):
    """Shortcut without weights (option A of He et al.): strided pixels, as many zero channels before as after."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.channels, self.stride = channels, stride

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, channels, H / stride, W / stride]``."""
        extra = (self.channels - x.shape[1]) // 2
        strided = F.avg_pool2d(x, 1, self.stride)  # as x[:, :, ::stride, ::stride], with a gradient in the layout of x
        return F.pad(strided, (0, 0, 0, 0, extra, extra))


def _shortcut(kind: str, channels: int, width: int, stride: int) -> nn.Module:
    if stride == 1 and channels == width:
        return nn.Sequential()
    if kind == "padding":
        return PaddingShortcut(width, stride)
    return nn.Sequential(nn.Conv2d(channels, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, the shortcut added before the last ReLU.

    Args:
        channels: channels of the input.
        width: channels of the output.
        stride: stride of the first convolution.
        shortcut: ``projection`` (1x1 convolution and BN) or ``padding``, where the shape changes.
        dropout: rate of the channel dropout before each of the two convolutions; the shortcut has none.
    """

    def __init__(self, channels: int, width: int, stride: int, shortcut: str, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = _shortcut(shortcut, channels, width, stride)
        self.relu2 = nn.ReLU()
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, width, H / stride, W / stride]``, not negative."""
        branch = self.relu1(self.bn1(self.conv1(self.dropout(x))))
        branch = self.bn2(self.conv2(self.dropout(branch)))
        return self.relu2(branch + self.shortcut(x))


class ResNet(nn.Module):
    """ResNet for small images; parameter names ``conv1``, ``bn1``, ``layer{s}.{b}.*``, ``linear``.

    =====================  ============  ==================  =========================================
    conf/model             blocks        widths              parameters (3 channels, 10 classes)
    =====================  ============  ==================  =========================================
    resnet18               2, 2, 2, 2    64, 128, 256, 512   11,173,962
    resnet34               3, 4, 6, 3    64, 128, 256, 512   21,282,122
    resnet20               3, 3, 3       16, 32, 64          269,722 (``shortcut: padding``)
    =====================  ============  ==================  =========================================

    Taps: ``stem`` (after BN and ReLU), ``block{s}.{b}`` (stage and block counted from 1, after the block's ReLU) and
    ``pooled``. ``stage_taps`` names the stem and the ends of the stages, which FSSD and Mahalanobis read;
    ``block_taps`` all blocks, FeatureNorm's candidates.

    Source: He et al., CVPR 2016; layout of the released code of FSSD (arXiv 2011.14654), of Mahalanobis (arXiv
    1807.03888) and, with two pixels of stem padding, of FeatureNorm. FSSD pools with a 4x4 window, which is the whole
    map of a 32-pixel image; here the whole map is pooled at any size.

    Args:
        shape: channels, height and width of the images.
        classes: number of classes.
        blocks: basic blocks in each stage.
        widths: channels of each stage; the stem has the first one's.
        stem_padding: padding of the stem's 3x3 convolution; 2 enlarges every map (34 pixels instead of 32).
        shortcut: ``projection`` or ``padding``.
        init: ``torch`` for torch's own initialisation, ``fan_out`` for He's by outputs on convolutions, ``fan_in`` for
            He's by inputs on convolutions and on the linear layer, whose bias stays torch's.
        dropout: rate before the linear layer; our choice of a place, the published networks have no dropout.
        stage_dropout: rate after each stage; our choice as well.
        conv_dropout: rate of the channel dropout on the image and before both convolutions of every block, as in the
            network that FSSD's first public commit samples (``ResNet-34-MCD``).

    Raises:
        ConfigError: on an unknown word, or lists of different lengths.
    """

    penultimate: ClassVar[str] = "pooled"

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        blocks: Sequence[int] = (2, 2, 2, 2),
        widths: Sequence[int] = (64, 128, 256, 512),
        stem_padding: int = 1,
        shortcut: str = "projection",
        init: str = "torch",
        dropout: float = 0.0,
        stage_dropout: float = 0.0,
        conv_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if shortcut not in _SHORTCUTS or init not in _INITS:
            raise ConfigError(f"resnet: shortcut is one of {_SHORTCUTS}, init one of {_INITS}, not {shortcut}, {init}")
        if len(blocks) != len(widths) or min(blocks, default=0) < 1:
            raise ConfigError(f"resnet: blocks {list(blocks)} and widths {list(widths)} must match, stage by stage")
        self._stages = len(blocks)
        paths = block_paths(blocks, "layer{}.{}")
        self.taps = {"stem": "relu", **paths, "pooled": "pool"}
        self.block_taps = tuple(paths)
        self.stage_taps = ("stem", *(f"block{stage}.{count}" for stage, count in enumerate(blocks, 1)))
        self.conv1 = nn.Conv2d(shape[0], widths[0], 3, padding=stem_padding, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        channels = widths[0]
        for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
            first = BasicBlock(channels, width, 2 if stage else 1, shortcut, conv_dropout)
            rest = (BasicBlock(width, width, 1, shortcut, conv_dropout) for _ in range(count - 1))
            self.add_module(f"layer{stage + 1}", nn.Sequential(first, *rest))
            channels = width
        self.image_dropout, self.stage_dropout = nn.Dropout2d(conv_dropout), nn.Dropout(stage_dropout)
        self.pool = Pooled()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(channels, classes)
        if init == "fan_out":
            initialise(self, zero_linear_bias=False)
        if init == "fan_in":
            for module in self.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]`` of normalised images ``[B, C, H, W]``."""
        x = self.relu(self.bn1(self.conv1(self.image_dropout(x))))
        for stage in range(1, self._stages + 1):
            x = self.stage_dropout(self.get_submodule(f"layer{stage}")(x))
        return self.linear(self.dropout(self.pool(x)))
