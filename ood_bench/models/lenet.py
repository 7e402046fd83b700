"""The small convolutional network that FSSD's authors train on FashionMNIST, and its MC-dropout sibling."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ood_bench.errors import ConfigError


def _pooled_size(shape: tuple[int, int, int]) -> int:
    """Number of values after two valid 3x3 convolutions to 64 channels and a 2x2 pooling."""
    _, height, width = shape
    if min(height, width) < 6:
        raise ConfigError(f"lenet needs images of at least 6x6 pixels, not {height}x{width}")
    return 64 * ((height - 4) // 2) * ((width - 4) // 2)


class LeNet(nn.Module):
    """Two valid 3x3 convolutions, one pooling, two linear layers; 1,199,882 parameters on 28x28 grey images.

    Parameter names are those of the authors' checkpoints (``conv1``, ``conv2``, ``fc1``, ``fc2``), and the taps are
    the four that their code reads: both convolutions after ReLU and *before* pooling, the hidden layer, the logits.

    Source: FSSD, arXiv 2011.14654, released code. The second dropout there is a channel dropout applied to a
    2-D tensor, which acts as ordinary dropout of the same rate; it is written as such here.

    Args:
        shape: channels, height and width of the images.
        classes: number of classes.
        channel_dropout: rate of the channel dropout after pooling.
        dropout: rate of the dropout before the last layer.
    """

    taps: ClassVar[dict[str, str]] = {"conv1": "relu1", "conv2": "relu2", "fc1": "relu3", "logits": "fc2"}
    penultimate: ClassVar[str] = "fc1"

    def __init__(
        self, shape: tuple[int, int, int], classes: int, channel_dropout: float = 0.25, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(shape[0], 32, 3)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.relu2 = nn.ReLU()
        self.channel_dropout = nn.Dropout2d(channel_dropout)
        self.fc1 = nn.Linear(_pooled_size(shape), 128)
        self.relu3 = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]`` of normalised images ``[B, C, H, W]``."""
        x = self.relu2(self.conv2(self.relu1(self.conv1(x))))
        # Memory order NCHW from here on: the linear layer expects it, and pooling's backward is faster with it.
        x = F.max_pool2d(x, 2).contiguous()
        x = torch.flatten(self.channel_dropout(x), 1)
        return self.fc2(self.dropout(self.relu3(self.fc1(x))))


class LeNetMCDropout(nn.Module):
    """LeNet as FSSD's first release samples it: element dropout in four places, no ReLU after ``fc1``.

    Dropout acts on the input image, before the second convolution, after pooling and after the hidden layer.

    Source: FSSD's first public commit (``LeNet-MCD``), whose last layer is named ``fc_last``. That snapshot feeds raw
    logits to a negative log-likelihood loss, which diverges; here the loss is cross entropy.

    Args:
        shape: channels, height and width of the images.
        classes: number of classes.
        rate: dropout rate in all four places (0.5 for FashionMNIST).
    """

    taps: ClassVar[dict[str, str]] = {"conv1": "relu1", "conv2": "relu2", "fc1": "fc1", "logits": "fc_last"}
    penultimate: ClassVar[str] = "fc1"

    def __init__(self, shape: tuple[int, int, int], classes: int, rate: float = 0.5) -> None:
        super().__init__()
        self.dropout = nn.Dropout(rate)
        self.conv1 = nn.Conv2d(shape[0], 32, 3)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.relu2 = nn.ReLU()
        self.fc1 = nn.Linear(_pooled_size(shape), 128)
        self.fc_last = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]`` of normalised images ``[B, C, H, W]``; random while dropout is active."""
        x = self.dropout(self.relu1(self.conv1(self.dropout(x))))
        x = F.max_pool2d(self.relu2(self.conv2(x)), 2).contiguous()
        x = torch.flatten(self.dropout(x), 1)
        return self.fc_last(self.dropout(self.fc1(x)))
