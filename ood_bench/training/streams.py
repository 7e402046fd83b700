"""The second stream of images, for losses that have one."""

import torch
from torch import Generator, Tensor

from ood_bench.training.recipe import StreamOrder


class SecondStream:
    """Endless batches of rows of the outliers, or of the classes that a classifier leaves out.

    With replacement, or row by row: then all rows come once, the last batch smaller, before they are shuffled anew.
    Every epoch has a stream of its own, so that training can go on after any of them.

    Args:
        count: number of images; 0 for no second stream.
        batch_size: rows a step.
        order: with replacement or shuffled.
        generator: generator on the CPU.
    """

    def __init__(self, count: int, batch_size: int, order: StreamOrder, generator: Generator) -> None:
        self._count, self._batch_size, self._order, self._generator = count, batch_size, order, generator
        self._waiting: list[Tensor] = []

    def draw(self) -> Tensor:
        """One batch of rows, int64 ``[M]``."""
        if self._order is StreamOrder.random:
            return torch.randint(max(self._count, 1), (self._batch_size,), generator=self._generator)
        if not self._waiting:
            shuffled = torch.randperm(self._count, generator=self._generator)
            self._waiting = list(torch.split(shuffled, self._batch_size))
        return self._waiting.pop(0)
