"""Image sets that only say which row they are, and a network that looks its logits up by that."""

import numpy as np
import torch
from torch import nn

from ood_bench.data.imageset import ImageSet


def rows_as_images(name, first, count):
    """Images ``[count, 1, 1, 2]`` that hold the numbers from ``first`` on, in two bytes."""
    numbers = np.arange(first, first + count, dtype=np.uint16)
    return ImageSet.of(name, numbers.view(np.uint8).reshape(count, 1, 1, 2))


class Lookup(nn.Module):
    """Gives the logits ``[N, K]`` of the rows that images stand for."""

    taps = {}  # noqa: RUF012 - read only, as in shipped models
    penultimate = ""

    def __init__(self, logits):
        super().__init__()
        self.register_buffer("logits", torch.from_numpy(logits))

    def forward(self, x):
        low, high = x.flatten(1).round().long().unbind(dim=1)
        return self.logits[low + 256 * high]
