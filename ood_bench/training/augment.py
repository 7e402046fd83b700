"""Augmentations of whole batches on the device: a few indexed copies, no work on the host."""

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
