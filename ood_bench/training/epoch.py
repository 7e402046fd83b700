"""The random numbers of one epoch, drawn at once: a training step then needs nothing from the host."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from ood_bench.training.augment import Augmentation

StreamOrder = Literal["random", "shuffled"]
"""How the second stream is drawn: with replacement, or shuffled anew whenever all of it was shown."""


def second_stream(count: int, batch_size: int, order: StreamOrder, generator: Generator) -> Iterator[Tensor]:
    """Endless batches of rows, int64 ``[M]``, of the outliers or of the classes that a classifier leaves out.

    With replacement, or row by row: then all rows come once, the last batch smaller, before they are shuffled anew.
    Every epoch has a stream of its own, so that training can go on after any of them.

    Args:
        count: number of images; 0 for no second stream.
        batch_size: rows a step.
        order: with replacement or shuffled.
        generator: generator on the CPU.
    """
    while True:
        if order == "random":
            yield torch.randint(max(count, 1), (batch_size,), generator=generator)
        else:
            yield from torch.split(torch.randperm(count, generator=generator), batch_size)


@dataclass(frozen=True)
class Step:
    """What one training step draws, on the training device.

    Attributes:
        rows: rows of the ID training images, int64 ``[B]``.
        outliers: rows of the second stream's images, int64 ``[M]``; ``M`` is 0 without outliers.
        draws: for each augmentation what it drew for the step's ``B + M`` images.
    """

    rows: Tensor
    outliers: Tensor
    draws: tuple[Tensor, ...]


def epoch_steps(
    count: int,
    batch_size: int,
    augment: Sequence[Augmentation],
    generator: Generator,
    *,
    device: torch.device,
    outliers: tuple[int, int] = (0, 0),
    order: StreamOrder = "random",
) -> list[Step]:
    """All steps of one epoch in a fresh order; the last batch may be smaller.

    The draws leave ``generator`` in the order in which the steps use them: the epoch's order, then step by step the
    outliers and each augmentation. They travel to the device in one copy each, not step by step.

    Args:
        count: number of ID training images.
        batch_size: ID images a step.
        augment: augmentations in order.
        generator: generator on the CPU.
        device: training device.
        outliers: number of images of the second stream, and how many of them a step takes.
        order: how they are drawn.
    """
    batches = torch.split(torch.randperm(count, generator=generator), batch_size)
    stream = second_stream(*outliers, order, generator)
    outside, draws = [], []
    for rows in batches:
        drawn = next(stream)
        outside.append(drawn)
        draws.append([one.draw(len(rows) + len(drawn), generator) for one in augment])
    columns = [_moved(one, device) for one in (batches, outside, *zip(*draws, strict=True))]
    return [Step(rows, outer, tuple(rest)) for rows, outer, *rest in zip(*columns, strict=True)]


def _moved(pieces: Sequence[Tensor], device: torch.device) -> Sequence[Tensor]:
    """The pieces on the device, after one copy; images are the last dimension."""
    return torch.split(torch.cat(list(pieces), dim=-1).to(device), [piece.shape[-1] for piece in pieces], dim=-1)
