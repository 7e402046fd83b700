"""The head that also tells by how much an image is turned."""

from typing import ClassVar

import torch
from torch import Tensor, nn

ROTATION = "rotation"
"""Name of the head, and of the tap that holds the logits of the rotations, ``[B, 4]``."""

TURNS = 4
"""Rotations by 0, 90, 180 and 270 degrees, counter-clockwise."""


class RotationHead(nn.Module):
    """A linear layer to the classes and beside it one to the rotations, which gets the same features.

    The rotations' layer stands first: the last linear layer of the network is that to the classes.

    Source: Hendrycks et al., "Using Self-Supervised Learning Can Improve Model Robustness and Uncertainty", arXiv
    1906.12340; as in OpenOOD.

    Args:
        classes: the layer to the classes.
    """

    taps: ClassVar[dict[str, str]] = {ROTATION: "rotation"}

    def __init__(self, classes: nn.Linear) -> None:
        super().__init__()
        self.rotation = nn.Linear(classes.in_features, TURNS)
        self.classes = classes

    def forward(self, z: Tensor) -> Tensor:
        """Logits ``[B, K]`` of features ``[B, D]``; in training ``[B, K + 4]``, the rotations' in the last columns."""
        turned = self.rotation(z)
        logits: Tensor = self.classes(z)
        return torch.cat([logits, turned], dim=1) if self.training else logits
