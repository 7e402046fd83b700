"""Augmentations of whole batches on the device: a few indexed copies, no work on the host."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ood_bench.errors import ConfigError


@dataclass(frozen=True)
class Augmentation:
    """A random change of images ``[B, C, H, W]``, in two parts: what is drawn, and what is done with it.

    Attributes:
        draw: random numbers for a number of images from a generator on the CPU; images are the last dimension.
        apply: changes images as their random numbers, on the same device, say.
    """

    draw: Callable[[int, Generator], Tensor]
    apply: Callable[[Tensor, Tensor], Tensor]

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Draws and applies."""
        return self.apply(images, self.draw(len(images), generator).to(images.device))


def _draw_flips(count: int, generator: Generator) -> Tensor:
    """Which images are mirrored, bool ``[B]``."""
    return torch.rand(count, generator=generator) < 0.5


def _flip(images: Tensor, chosen: Tensor) -> Tensor:
    return torch.where(chosen.view(-1, 1, 1, 1), images.flip(3), images)


def _draw_offsets(count: int, generator: Generator) -> Tensor:
    """Row and column of each window in the padded image, int64 ``[2, B]``."""
    return torch.randint(0, 9, (2, count), generator=generator)


def _crop(images: Tensor, offsets: Tensor, mode: str) -> Tensor:
    batch, channels, height, width = images.shape
    padded = F.pad(images.float(), (4, 4, 4, 4), mode=mode).to(images.dtype)
    rows = (offsets[0].view(-1, 1) + torch.arange(height, device=images.device)).view(batch, 1, height, 1)
    columns = (offsets[1].view(-1, 1) + torch.arange(width, device=images.device)).view(batch, 1, 1, width)
    index = torch.arange(batch, device=images.device).view(batch, 1, 1, 1)
    channel = torch.arange(channels, device=images.device).view(1, channels, 1, 1)
    return padded[index, channel, rows, columns]


# Mirrors each image left to right with probability one half.
flip = Augmentation(_draw_flips, _flip)
# Pad each image by 4 pixels, black ones or mirrored ones, and cut a random window of the original size.
crop4 = Augmentation(_draw_offsets, functools.partial(_crop, mode="constant"))
reflect_crop4 = Augmentation(_draw_offsets, functools.partial(_crop, mode="reflect"))

AUGMENTATIONS: dict[str, Augmentation] = {"flip": flip, "crop4": crop4, "reflect_crop4": reflect_crop4}


def augmentations(names: Sequence[str]) -> list[Augmentation]:
    """Looks augmentations up by name.

    Raises:
        ConfigError: on an unknown name.
    """
    unknown = [name for name in names if name not in AUGMENTATIONS]
    if unknown:
        raise ConfigError(f"train.augment: unknown {', '.join(unknown)}; known are {', '.join(AUGMENTATIONS)}")
    return [AUGMENTATIONS[name] for name in names]
