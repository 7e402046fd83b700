"""Optimizers, and which parameters their weight decay acts on."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from ood_bench.models.heads import Similarity
from ood_bench.utils.build import Strict

Decay = Literal["standard", "everything", "kernels"]
"""What weight decay acts on.

``standard``: all parameters but those of the class similarities h of a generalized ODIN head. ``everything``: those
too. ``kernels``: weights of convolutions and of linear layers, without those of the layer that classifies; no bias and
no batch norm.
"""
_Share = Annotated[float, Field(ge=0, le=1)]
_NotNegative = Annotated[float, Field(ge=0, le=1e30)]


@dataclass(frozen=True)
class OptimizerConfig(Strict):
    """Optimizer, by torch's name, and its constants; ``decay`` says which parameters ``weight_decay`` acts on."""

    name: Literal["sgd", "adadelta"] = "sgd"
    lr: Annotated[float, Field(gt=0, lt=1e30)] = 0.1
    momentum: _Share = 0.9
    nesterov: bool = False
    weight_decay: _NotNegative = 0.0
    rho: _Share = 0.9
    eps: _NotNegative = 1e-6
    decay: Decay = "standard"

    def __post_init__(self) -> None:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov=true needs a momentum above 0")


def build_optimizer(config: OptimizerConfig, network: nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimizer over all parameters of a network; all have the same learning rate."""
    groups = parameter_groups(network, config.decay, config.weight_decay)
    if config.name == "adadelta":
        return torch.optim.Adadelta(groups, lr=config.lr, rho=config.rho, eps=config.eps)
    fused = True if next(network.parameters()).is_cuda else None
    return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=config.nesterov, fused=fused)


def parameter_groups(network: nn.Module, decay: Decay, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups for torch's optimizers: those that decay, then those that do not; only groups with parameters.

    Every parameter is in exactly one group. They are told apart by the kind of their module, since their names change
    where a wrapper adds a prefix.

    Args:
        network: the network, with its head.
        decay: which parameters decay.
        weight_decay: by how much.
    """
    spared = _spared(network, decay) if weight_decay else set()
    parts: tuple[list[nn.Parameter], list[nn.Parameter]] = ([], [])
    for parameter in network.parameters():
        parts[parameter in spared].append(parameter)
    rates = (weight_decay, 0.0)
    return [{"params": part, "weight_decay": rate} for part, rate in zip(parts, rates, strict=True) if part]


def _spared(network: nn.Module, decay: Decay) -> set[nn.Parameter]:
    """The parameters that do not decay."""
    if decay == "everything":
        return set()
    similarities = [module for module in network.modules() if isinstance(module, Similarity)]
    if decay == "kernels":
        layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
        classifying = [] if similarities else [layer for layer in layers if isinstance(layer, nn.Linear)][-1:]
        kernels = {layer.weight for layer in layers if layer not in classifying}
        return set(network.parameters()) - kernels
    return {parameter for module in similarities for parameter in module.parameters()}
