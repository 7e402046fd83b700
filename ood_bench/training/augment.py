"""Augmentations of whole batches on the device: a few indexed copies, no work on the host."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


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


def _warp(images: Tensor, matrices: Tensor) -> Tensor:
    """Images whose pixel at centred position p is the bilinear value of the old one at ``M p``; edges are mirrored.

    Args:
        images: ``[B, C, H, W]``; the result is rounded to whole grey values.
        matrices: M, ``[B, 2, 2]``, of positions (x, y) on a scale on which the image reaches from -1 to 1.
    """
    grid = F.affine_grid(F.pad(matrices, (0, 1)), list(images.shape), align_corners=False)
    warped = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return warped.round().to(images.dtype)


def _draw_angles(count: int, generator: Generator) -> Tensor:
    """Angles up to 0.02 of a full turn (7.2 degrees) either way, in radians, ``[B]``."""
    return (2 * torch.rand(count, generator=generator) - 1) * 0.02 * 2 * math.pi


def _rotate(images: Tensor, angles: Tensor) -> Tensor:
    ratio = images.shape[2] / images.shape[3]
    rows = [angles.cos(), -angles.sin() * ratio, angles.sin() / ratio, angles.cos()]
    return _warp(images, torch.stack(rows, dim=1).view(-1, 2, 2))


def _draw_zooms(count: int, generator: Generator) -> Tensor:
    """Factors from 0.8 to 1.2 on width and height, ``[2, B]``."""
    return 1 + 0.2 * (2 * torch.rand(2, count, generator=generator) - 1)


def _zoom(images: Tensor, factors: Tensor) -> Tensor:
    return _warp(images, torch.diag_embed(factors.T))


AugmentationName = Literal["flip", "crop4", "reflect_crop4", "rotate7", "zoom20"]
AUGMENTATIONS: dict[AugmentationName, Augmentation] = {
    # Mirrors each image left to right with probability one half.
    "flip": Augmentation(_draw_flips, _flip),
    # Pad each image by 4 pixels, black ones or mirrored ones, and cut a random window of the original size.
    "crop4": Augmentation(_draw_offsets, functools.partial(_crop, mode="constant")),
    "reflect_crop4": Augmentation(_draw_offsets, functools.partial(_crop, mode="reflect")),
    # Turns and stretches as Keras' RandomRotation(0.02) and RandomZoom(0.2, 0.2) with their defaults, in generalized
    # ODIN's TensorFlow port.
    "rotate7": Augmentation(_draw_angles, _rotate),
    "zoom20": Augmentation(_draw_zooms, _zoom),
}
