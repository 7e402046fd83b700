"""Augmentations of whole batches on the device: a few indexed copies, no work on the host."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ood_bench.errors import ConfigError

Augmentation = Callable[[Tensor, Generator], Tensor]


def flip(images: Tensor, generator: Generator) -> Tensor:
    """Mirrors each image ``[B, C, H, W]`` left to right with probability one half."""
    chosen = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(chosen.to(images.device).view(-1, 1, 1, 1), images.flip(3), images)


def _crop(images: Tensor, generator: Generator, mode: str) -> Tensor:
    batch, channels, height, width = images.shape
    padded = F.pad(images.float(), (4, 4, 4, 4), mode=mode).to(images.dtype)
    offsets = torch.randint(0, 9, (2, batch), generator=generator).to(images.device)
    rows = (offsets[0].view(-1, 1) + torch.arange(height, device=images.device)).view(batch, 1, height, 1)
    columns = (offsets[1].view(-1, 1) + torch.arange(width, device=images.device)).view(batch, 1, 1, width)
    index = torch.arange(batch, device=images.device).view(batch, 1, 1, 1)
    channel = torch.arange(channels, device=images.device).view(1, channels, 1, 1)
    return padded[index, channel, rows, columns]


def crop4(images: Tensor, generator: Generator) -> Tensor:
    """Pads each image by 4 black pixels and cuts a random window of the original size."""
    return _crop(images, generator, "constant")


def reflect_crop4(images: Tensor, generator: Generator) -> Tensor:
    """Pads each image by 4 mirrored pixels and cuts a random window of the original size."""
    return _crop(images, generator, "reflect")


def _warp(images: Tensor, matrices: Tensor) -> Tensor:
    """Images whose pixel at centred position p is the bilinear value of the old one at ``M p``; edges are mirrored.

    Args:
        images: ``[B, C, H, W]``.
        matrices: M, ``[B, 2, 2]``, of positions (x, y) on a scale on which the image reaches from -1 to 1.
    """
    affine = F.pad(matrices, (0, 1)).to(images.device)
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    warped = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return warped.round().to(images.dtype)


def rotate7(images: Tensor, generator: Generator) -> Tensor:
    """Turns each image by up to 0.02 of a full turn (7.2 degrees) either way, rounded to whole grey values.

    Source: Keras' ``RandomRotation(0.02)`` with its defaults, as generalized ODIN's TensorFlow port uses it.
    """
    angle = (2 * torch.rand(len(images), generator=generator) - 1) * 0.02 * 2 * math.pi
    ratio = images.shape[2] / images.shape[3]
    rows = [angle.cos(), -angle.sin() * ratio, angle.sin() / ratio, angle.cos()]
    return _warp(images, torch.stack(rows, dim=1).view(-1, 2, 2))


def zoom20(images: Tensor, generator: Generator) -> Tensor:
    """Stretches or shrinks each image by up to 20 %, height and width apart, rounded to whole grey values.

    Source: Keras' ``RandomZoom(0.2, 0.2)`` with its defaults, as generalized ODIN's TensorFlow port uses it.
    """
    factors = 1 + 0.2 * (2 * torch.rand(len(images), 2, generator=generator) - 1)
    return _warp(images, torch.diag_embed(factors))


AUGMENTATIONS: dict[str, Augmentation] = {
    "flip": flip,
    "crop4": crop4,
    "reflect_crop4": reflect_crop4,
    "rotate7": rotate7,
    "zoom20": zoom20,
}


def augmentations(names: Sequence[str]) -> list[Augmentation]:
    """Looks augmentations up by name.

    Raises:
        ConfigError: on an unknown name.
    """
    unknown = [name for name in names if name not in AUGMENTATIONS]
    if unknown:
        raise ConfigError(f"train.augment: unknown {', '.join(unknown)}; known are {', '.join(AUGMENTATIONS)}")
    return [AUGMENTATIONS[name] for name in names]
