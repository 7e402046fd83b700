"""The head with what virtual outlier synthesis learns beside the classes."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ood_bench.data.imageset import Array
from ood_bench.errors import ConfigError

VOS = "vos"
"""Name of the head."""


class VosHead(nn.Module):
    """A linear layer to the classes, with the weights w of the energy and the logistic regression on it.

    w starts uniform between 0 and 1. Only training uses the logistic regression.

    Source: Du et al., "VOS: Learning What You Don't Know by Virtual Outlier Synthesis", ICLR 2022, and its code.

    Args:
        classes: the layer to the classes.
    """

    def __init__(self, classes: nn.Linear) -> None:
        super().__init__()
        self.energy_weight = nn.Parameter(torch.rand(classes.out_features))
        self.logistic = nn.Linear(1, 2)
        self.classes = classes  # last, so that it is found as the network's last layer

    def forward(self, z: Tensor) -> Tensor:
        """Logits ``[B, K]`` of features ``[B, D]``; in training ``[B, K + D]``, the features in the last columns."""
        logits: Tensor = self.classes(z)
        return torch.cat([logits, z], dim=1) if self.training else logits

    def energy(self, logits: Tensor) -> Tensor:
        """``log sum_k max(w_k, 0) exp z_k`` of logits z ``[B, K]``: minus the energy, ``[B]``."""
        top = logits.max(dim=1).values
        return top + ((logits - top[:, None]).exp() @ F.relu(self.energy_weight)).log()


def vos_head(network: nn.Module) -> VosHead:
    """The network's head.

    Raises:
        ConfigError: if it has another one.
    """
    for module in network.modules():
        if isinstance(module, VosHead):
            return module
    raise ConfigError(f"{type(network).__name__} has no weights of the energy", f"set model.head={VOS}")


def energy_weights(network: nn.Module) -> Array:
    """``max(w, 0)`` of the network's head, float64 ``[K]``.

    Raises:
        ConfigError: if it has another head, or no weight is above 0, so that every energy is infinite.
    """
    found = np.maximum(vos_head(network).energy_weight.detach().double().cpu().numpy(), 0)
    if not found.any():
        raise ConfigError(
            "no weight of the energy is above 0: all scores would be infinite",
            "train with a smaller train.loss.options.weight, or set method.vos.definition=code",
        )
    return found
