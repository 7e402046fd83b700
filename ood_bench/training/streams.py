"""The second stream of images, for losses that have one."""

import torch
from torch import Tensor

from ood_bench.training.recipe import StreamOrder


class SecondStream:
    """Endless batches of outliers, or of the classes that a classifier leaves out.

    With replacement, or image by image: then all images come once, the last batch smaller, before they are shuffled
    anew. Every epoch starts with a fresh shuffle, so that training can go on after any of them.
    """

    def __init__(self, images: Tensor, batch_size: int, order: StreamOrder, generator: torch.Generator) -> None:
        self._images, self._batch_size, self._order, self._generator = images, batch_size, order, generator
        self._waiting: list[Tensor] = []

    def restart(self) -> None:
        """Forgets what is left of the present shuffle."""
        self._waiting = []

    def draw(self) -> Tensor:
        """One batch ``[M, C, H, W]``."""
        if self._order is StreamOrder.random:
            index = torch.randint(len(self._images), (self._batch_size,), generator=self._generator)
        else:
            if not self._waiting:
                shuffled = torch.randperm(len(self._images), generator=self._generator)
                self._waiting = list(torch.split(shuffled, self._batch_size))
            index = self._waiting.pop(0)
        return self._images[index.to(self._images.device)]
