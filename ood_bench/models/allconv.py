"""The all-convolutional network of Outlier Exposure for 32-pixel images."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from ood_bench.errors import ConfigError
from ood_bench.models.layers import Pooled, initialise

_WINDOW = 8
_SMALLEST, _TOO_LARGE = 24, 56  # sides whose last map holds the pooling window exactly once


class SigmoidGELU(nn.Module):
    """``x * sigmoid(1.702 x)``, the approximation of the GELU that Outlier Exposure's code uses."""

    def forward(self, x: Tensor) -> Tensor:
        """Values in the shape of ``x``."""
        return torch.sigmoid(1.702 * x) * x


def _block(channels: int, width: int, kernel: int, padding: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, width, kernel, padding=padding), nn.BatchNorm2d(width), SigmoidGELU()]


class AllConv(nn.Module):
    """Nine convolutions with bias, batch norm and GELU, two max-poolings with dropout.

    1,409,674 parameters for 10 classes.

    Parameter names are those of the released code (``features.N``, ``classifier``). The 1x1 convolutions pad by one
    pixel, so that the last map of a 32-pixel image is 10x10, of which the pooling window of 8 sees a part only; both as
    in that code.

    Taps: ``conv1..9`` (after the activation) and ``pooled``, which is the penultimate one. ``stage_taps`` are the ends
    of the three parts between which the maps are halved.

    Source: Hendrycks et al., arXiv 1812.04606, released code (CIFAR/models/allconv.py), after Springenberg et al.,
    arXiv 1412.6806.

    Args:
        shape: channels, height and width of the images, 24 to 55 pixels.
        classes: number of classes.
        widths: channels of the first three convolutions, and of the others.
        dropout: rate after each max-pooling.

    Raises:
        ConfigError: if the pooling window does not fit the last map exactly once.
    """

    taps: ClassVar[dict[str, str]] = {
        "conv1": "features.2",
        "conv2": "features.5",
        "conv3": "features.8",
        "conv4": "features.13",
        "conv5": "features.16",
        "conv6": "features.19",
        "conv7": "features.24",
        "conv8": "features.27",
        "conv9": "features.30",
        "pooled": "features.31",
    }
    block_taps: ClassVar[tuple[str, ...]] = tuple(f"conv{number}" for number in range(1, 10))
    stage_taps: ClassVar[tuple[str, ...]] = ("conv3", "conv6", "conv9")
    penultimate: ClassVar[str] = "pooled"

    def __init__(
        self, shape: tuple[int, int, int], classes: int, widths: Sequence[int] = (96, 192), dropout: float = 0.5
    ) -> None:
        super().__init__()
        if not all(_SMALLEST <= side < _TOO_LARGE for side in shape[1:]):
            raise ConfigError(
                f"allconv: images of {shape[1]}x{shape[2]} pixels do not fit its pooling window: they must have "
                f"{_SMALLEST} to {_TOO_LARGE - 1} pixels a side"
            )
        narrow, wide = widths
        layers: list[nn.Module] = []
        for channels, width in ((shape[0], narrow), (narrow, wide)):
            layers += [*_block(channels, width, 3, 1), *_block(width, width, 3, 1), *_block(width, width, 3, 1)]
            layers += [nn.MaxPool2d(2), nn.Dropout(dropout)]
        layers += [*_block(wide, wide, 3, 0), *_block(wide, wide, 1, 1), *_block(wide, wide, 1, 1), Pooled(_WINDOW)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(wide, classes)
        initialise(self, zero_linear_bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]`` of normalised images ``[B, C, H, W]``."""
        return self.classifier(self.features(x))
