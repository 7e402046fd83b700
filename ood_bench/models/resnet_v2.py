"""The pre-activation bottleneck network of generalized ODIN's TensorFlow port."""

from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ood_bench.errors import ConfigError
from ood_bench.models.heads import truncated_he_normal
from ood_bench.models.layers import Pooled, block_paths, check_window

_STEM = 16
_STAGES = ((16, 64, 1), (64, 128, 2), (128, 256, 2))  # inner width, output channels, stride
_EPS, _MOMENTUM = 1e-3, 0.01  # Keras' batch norm; its momentum of 0.99 is torch's 0.01
Padding = Literal["same", "both_sides"]


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_EPS, momentum=_MOMENTUM)


class PadSame(nn.Module):
    """What TensorFlow's ``same`` puts around a map for a 3x3 convolution of stride 2.

    Even sides get one zero at their end, odd ones get one at either end, as ``padding=1`` has it.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, H + 1 + H % 2, W + 1 + W % 2]`` of a map ``[B, C, H, W]``."""
        return F.pad(x, (x.shape[3] % 2, 1, x.shape[2] % 2, 1))


class BottleneckV2(nn.Module):
    """BN, ReLU and convolution three times (1x1, 3x3, 1x1), added to the shortcut; the sum is left raw.

    Where the shape changes, the shortcut is a strided 1x1 convolution of the raw input.

    Args:
        channels: channels of the input.
        width: channels between the convolutions.
        out: channels of the output.
        stride: stride of the 3x3 convolution, 1 or 2.
        padding: see :class:`ResNetV2`.
    """

    def __init__(self, channels: int, width: int, out: int, stride: int, padding: Padding = "same") -> None:
        super().__init__()
        uneven = padding == "same" and stride == 2
        self.bn1, self.relu1 = _norm(channels), nn.ReLU()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn2, self.relu2 = _norm(width), nn.ReLU()
        self.pad = PadSame() if uneven else nn.Identity()
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=0 if uneven else 1, bias=False)
        self.bn3, self.relu3 = _norm(width), nn.ReLU()
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        same = channels == out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels, out, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, out, H / stride, W / stride]``, of either sign."""
        branch = self.conv1(self.relu1(self.bn1(x)))
        branch = self.conv2(self.pad(self.relu2(self.bn2(branch))))
        branch = self.conv3(self.relu3(self.bn3(branch)))
        return self.shortcut(x) + branch


class ResNetV2(nn.Module):
    """Depth 20: 571,962 values for 10 classes as Keras counts (weights and running statistics), 572,223 with h and g.

    Stem of 16 channels with BN and ReLU; three stages of bottlenecks of inner width 16, 64, 128 and 64, 128, 256 output
    channels; BN, ReLU and average pooling to 256 features. Convolutions start from Glorot's uniform distribution, the
    linear layer from Keras' He normal with bias 0, as Keras does it. It is not the ResNet-20 of basic blocks.

    Taps: ``stem``, ``block{s}.{b}`` (stage and block counted from 1; the raw sum), ``final`` and ``pooled``.

    Source: the TensorFlow port of generalized ODIN (sayakpaul/Generalized-ODIN-TF).

    Args:
        shape: channels, height and width of the images.
        classes: number of classes.
        depth: number of layers, 9n + 2.
        pool_window: side of the last pooling's window; 0 averages over the whole map.
        dropout: rate before the linear layer; our choice of a place, the port has no dropout.
        stage_dropout: rate after each stage; our choice as well.
        padding: of the strided 3x3 convolutions: ``same`` as TensorFlow, on even maps right and below only; or
            ``both_sides``, as ``padding=1``, which is another function: on the port's weights softmax moves by 0.013.
        g_start: where the linear layer of a head's g starts: ``glorot`` with bias 0 as in Keras, or as in torch, with
            0.4 of that deviation.

    Raises:
        ConfigError: if the depth is impossible, or the images do not fit the window.
    """

    penultimate: ClassVar[str] = "pooled"

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        depth: int = 20,
        pool_window: int = 8,
        dropout: float = 0.0,
        stage_dropout: float = 0.0,
        padding: Padding = "same",
        g_start: Literal["glorot", "torch"] = "torch",
    ) -> None:
        super().__init__()
        self.head_options = {"truncated": True, "glorot": g_start == "glorot", "eps": _EPS, "momentum": _MOMENTUM}
        if depth < 11 or (depth - 2) % 9:
            raise ConfigError(f"resnet_v2: depth {depth} is not 9n + 2 (three stages of blocks of three layers)")
        check_window("resnet_v2", shape, pool_window, lambda side: (side + 3) // 4)
        count = (depth - 2) // 9
        paths = block_paths([count] * len(_STAGES), "stage{}.{}")
        self.taps = {"stem": "relu1", **paths, "final": "relu", "pooled": "pool"}
        self.block_taps = tuple(paths)
        self.stage_taps = ("stem", f"block1.{count}", f"block2.{count}", "final")
        self.conv1 = nn.Conv2d(shape[0], _STEM, 3, padding=1, bias=False)
        self.bn1, self.relu1 = _norm(_STEM), nn.ReLU()
        channels = _STEM
        for number, (width, out, stride) in enumerate(_STAGES, 1):
            first = BottleneckV2(channels, width, out, stride, padding)
            rest = (BottleneckV2(out, width, out, 1) for _ in range(count - 1))
            self.add_module(f"stage{number}", nn.Sequential(first, *rest))
            channels = out
        self.bn, self.relu = _norm(channels), nn.ReLU()
        self.stage_dropout = nn.Dropout(stage_dropout)
        self.pool = Pooled(pool_window)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, classes)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
        truncated_he_normal(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]`` of normalised images ``[B, C, H, W]``."""
        x = self.relu1(self.bn1(self.conv1(x)))
        for number in range(1, len(_STAGES) + 1):
            x = self.stage_dropout(self.get_submodule(f"stage{number}")(x))
        return self.fc(self.dropout(self.pool(self.relu(self.bn(x)))))
