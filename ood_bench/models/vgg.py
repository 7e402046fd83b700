"""VGG11 without batch norm for 32-pixel images, as FeatureNorm trains it."""

from collections.abc import Iterator
from typing import ClassVar

from torch import Tensor, nn

from ood_bench.errors import ConfigError
from ood_bench.models.layers import Pooled, initialise

_WIDTHS = (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0)  # 0 stands for a max-pooling
_HIDDEN = 512


def _features(channels: int) -> Iterator[nn.Module]:
    for width in _WIDTHS:
        if width == 0:
            yield nn.MaxPool2d(2)
        else:
            yield nn.Conv2d(channels, width, 3, padding=1)
            yield nn.ReLU()
            channels = width


class VGG11(nn.Module):
    """Eight convolutions with bias, five max-poolings, three linear layers; 9,750,922 parameters for 10 classes.

    Parameter names are those of FeatureNorm's code (``features.N``, ``classifier.{0,3,6}``).

    Taps: ``conv1..8`` (after ReLU), ``pool4`` (the map of ``conv4`` after max-pooling), ``pooled`` (512 values, all
    that is left of a 32-pixel image after the fifth max-pooling), ``fc1`` and ``fc2`` (after ReLU; dropout follows).
    The penultimate tap is ``fc2``. ``block_taps`` is FeatureNorm's list of candidates, in which the fourth is
    ``pool4`` and not ``conv4``; its chosen "Layer 7" (index 5) is ``conv6``.

    Source: Simonyan and Zisserman, ICLR 2015; layout of FeatureNorm's released code (CVPR 2023), which leaves torch's
    initial biases in the linear layers (within 0.044 of 0); here all biases start from 0.

    Args:
        shape: channels, height and width of the images, at least 32 pixels; larger last maps are averaged.
        classes: number of classes.
        dropout: rate after each hidden linear layer.

    Raises:
        ConfigError: if the images are too small.
    """

    taps: ClassVar[dict[str, str]] = {
        "conv1": "features.1",
        "conv2": "features.4",
        "conv3": "features.7",
        "conv4": "features.9",
        "pool4": "features.10",
        "conv5": "features.12",
        "conv6": "features.14",
        "conv7": "features.17",
        "conv8": "features.19",
        "pooled": "pool",
        "fc1": "classifier.1",
        "fc2": "classifier.4",
    }
    block_taps: ClassVar[tuple[str, ...]] = ("conv1", "conv2", "conv3", "pool4", "conv5", "conv6", "conv7", "conv8")
    stage_taps: ClassVar[tuple[str, ...]] = ("conv1", "conv2", "conv4", "conv6", "conv8")
    penultimate: ClassVar[str] = "fc2"
    pooled_head: ClassVar[str] = "classifier"  # all that follows ``pooled``; elsewhere that is the last linear layer

    def __init__(self, shape: tuple[int, int, int], classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        if min(shape[1:]) < 32:
            raise ConfigError(f"vgg11: images of {shape[1]}x{shape[2]} pixels are too small: five halvings need 32x32")
        self.features = nn.Sequential(*_features(shape[0]))
        self.pool = Pooled()
        self.classifier = nn.Sequential(
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(_HIDDEN, classes),
        )
        initialise(self, zero_linear_bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]`` of normalised images ``[B, C, H, W]``."""
        return self.classifier(self.pool(self.features(x)))
