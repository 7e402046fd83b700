"""Rotation prediction: the network also learns how far an image was turned."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ood_bench.errors import ConfigError
from ood_bench.models.rotation import ROTATION, TURNS
from ood_bench.training.objectives import Batch, Forward, Objective


@dataclass
class RotPred(Objective):
    """Cross entropy of the classes, plus ``weight`` times that of the four rotations of every image.

    The augmented and normalised images go through the network once together with their turns by 90, 180 and 270
    degrees. The classes are learned from the images that are not turned, the rotations from all.

    Source: Hendrycks et al., "Using Self-Supervised Learning Can Improve Model Robustness and Uncertainty", NeurIPS
    2019, arXiv 1906.12340; as in OpenOOD. The authors' code also learns shifts of the image, with weights of its own.

    Attributes:
        weight: weight of the rotations' term; OpenOOD takes 1.
    """

    weight: float = 1.0

    head: ClassVar[str | None] = ROTATION
    copies: ClassVar[int] = TURNS

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise ConfigError(f"train.loss.options of rotpred: weight is {self.weight}", hint="give 0 or more")

    def __call__(self, forward: Forward, batch: Batch) -> tuple[Tensor, Tensor]:
        """See the base class; ``forward`` gives logits of the classes and of the rotations side by side."""
        count = len(batch.labels)
        both = forward(torch.cat([batch.images.rot90(turn, (2, 3)) for turn in range(TURNS)]))
        logits, turned = both[:count, :-TURNS], both[:, -TURNS:]
        turns = torch.arange(TURNS, device=both.device).repeat_interleave(count)
        return F.cross_entropy(logits, batch.labels) + self.weight * F.cross_entropy(turned, turns), logits
