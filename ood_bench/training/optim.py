"""Optimizers, and which parameters their weight decay acts on."""

from typing import Any

import torch
from torch import nn

from ood_bench.models.heads import Similarity
from ood_bench.training.recipe import Decay, OptimizerConfig, OptimizerName


def build_optimizer(config: OptimizerConfig, network: nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimizer over all parameters of a network; all have the same learning rate."""
    groups = parameter_groups(network, config.decay, config.weight_decay)
    if config.name is OptimizerName.adadelta:
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
    if decay is Decay.everything:
        return set()
    similarities = [module for module in network.modules() if isinstance(module, Similarity)]
    if decay is Decay.kernels:
        layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
        classifying = [] if similarities else [layer for layer in layers if isinstance(layer, nn.Linear)][-1:]
        kernels = {layer.weight for layer in layers if layer not in classifying}
        return set(network.parameters()) - kernels
    return {parameter for module in similarities for parameter in module.parameters()}
