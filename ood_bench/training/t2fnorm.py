"""T2FNorm: the last layer is trained on normalised features, and scores the plain ones."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ood_bench.models.heads import LINEAR, last_linear
from ood_bench.training.objectives import CrossEntropy, refuse_tau


@dataclass
class T2FNorm(CrossEntropy):
    """Mean cross entropy of ``W f / (|f| tau) + b`` in training; the trained network gives ``W f / tau + b``.

    f is what the last linear layer gets. The kept weights are ``W / tau``, so that the trained network is one of the
    plain architecture, whose features and last layer every method reads as usual.

    Source: Regmi et al., "T2FNorm: Train-time Feature Normalization for OOD Detection in Image Classification",
    arXiv 2305.17797, and its code, which is OpenOOD's; tau 0.1. The code takes predictions from normalised features and
    scores from plain ones; here both are from the plain ones, which differ in the class only where b decides. On
    ImageNet-1k, where it fine-tunes, the code scores without tau, which is not offered here.

    Attributes:
        tau: temperature, above 0.
    """

    tau: float = 0.1

    head: ClassVar[str | None] = LINEAR

    def __post_init__(self) -> None:
        refuse_tau("t2fnorm", self.tau)

    def prepare(self, network: nn.Module) -> Callable[[], None]:
        """Normalises what the last layer gets while the network trains, and divides it by tau, also in evaluation.

        Raises:
            ConfigError: if the network has no linear layer.
        """
        _, layer = last_linear(network)

        def scaled(module: nn.Module, args: tuple[Any, ...]) -> tuple[Tensor]:
            features = args[0].to(module.weight.dtype)  # also under autocast
            return ((F.normalize(features, dim=-1) if module.training else features) / self.tau,)

        hook = layer.register_forward_pre_hook(scaled)

        def keep() -> None:
            hook.remove()
            with torch.no_grad():
                layer.weight.div_(self.tau)

        return keep
