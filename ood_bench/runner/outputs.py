"""What a network has to give: one tensor of logits, and the same whenever the same images are sent."""

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ood_bench.errors import ConfigError

_log = logging.getLogger(__name__)
_SAME = 1e-4
"""Difference of two passes, as a share of the largest logit, that kernels may make."""


def check_outputs(model: str, untrained: nn.Module, shape: tuple[int, int, int], classes: int) -> None:
    """Sends random images through an untrained network in evaluation mode, and looks at what comes out.

    Warns of probabilities and their logarithms. Random numbers of the caller stay as they are.

    Args:
        model: its name.
        untrained: the network.
        shape: channels, height and width of the images.
        classes: number of classes K.

    Raises:
        ConfigError: if it does not give one tensor ``[B, K]``, or gives others for the same images.
    """
    pair = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
        # each gets a copy: the network may change it in place
        one, first, second = (
            _logits(model, untrained(images.clone()), len(images), classes) for images in (pair[:1], pair, pair)
        )
    if (first - second).abs().max() > _SAME * first.abs().max():
        raise ConfigError(
            f"model {model} gives other logits for the same images: is there dropout that stays on in evaluation mode?",
            "use torch.nn.Dropout, or F.dropout(x, rate, training=self.training)",
        )
    if kind := _probabilities(torch.cat([one, first])):
        _log.warning(
            "model %s seems to give %s, not logits: energy, ODIN and others need logits; leave out its last %s",
            model,
            *kind,
        )


def _logits(model: str, given: Any, images: int, classes: int) -> Tensor:
    if not isinstance(given, Tensor):
        kind = type(given).__name__
        article = "an" if kind[0] in "AEIOUaeiou" else "a"
        raise ConfigError(
            f"model {model}: the network gives {article} {kind}",
            f"let its forward return the logits alone, such as output{_place(given, classes)}",
        )
    if given.shape != (images, classes):
        raise ConfigError(
            f"model {model} gives {list(given.shape)} for {images} of the ID set's images, not [{images}, {classes}]",
            f"let its forward return a logit for each of the {classes} classes, or set id.classes",
        )
    return given.float()


def _place(given: Any, classes: int) -> str:
    """Where the logits seem to be, as Python writes it."""
    if isinstance(given, Mapping):
        parts = {f"[{key!r}]": value for key, value in given.items()}
    elif isinstance(given, tuple | list):
        parts = {f"[{place}]": value for place, value in enumerate(given)}
    else:
        parts = {f".{name}": value for name, value in getattr(given, "__dict__", {}).items()}
    fitting = (place for place, value in parts.items() if isinstance(value, Tensor) and value.shape == (1, classes))
    return next(fitting, ".logits")


def _probabilities(rows: Tensor) -> tuple[str, str] | None:
    """What rows ``[B, K]`` are if no logits, and the layer that makes it of them."""
    if bool(((rows >= 0) & (rows <= 1)).all()) and bool(((rows.sum(dim=1) - 1).abs() < _SAME).all()):
        return "probabilities", "softmax"
    if bool((rows.logsumexp(dim=1).abs() < _SAME).all()):
        return "logarithms of probabilities", "log-softmax"
    return None
