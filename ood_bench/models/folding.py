"""The same function in less time: batch norms folded into the convolutions before them, ReLUs that need no new map."""

import copy
import logging
import operator
from collections import Counter
from collections.abc import Collection
from typing import Any

import torch
from torch import fx, nn

_log = logging.getLogger(__name__)
_FRESH = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
_SKIPPED = (nn.Dropout, nn.Dropout2d, nn.Identity)
_SUMS: Collection[Any] = (operator.add, operator.iadd, torch.add)


def folded(network: nn.Module, taps: Collection[str]) -> nn.Module:
    """A copy of a frozen network that computes the same logits and taps faster, to within float32's rounding.

    A batch norm that alone reads a convolution's output is folded into that convolution (in float64) and becomes an
    identity; a ReLU that alone reads a fresh map overwrites it. What a tap returns is neither folded nor overwritten.
    A network whose forward pass ``torch.fx`` cannot trace is copied as it is.

    Args:
        network: in evaluation mode; it is left as it is.
        taps: paths of the modules whose outputs are read.
    """
    network = copy.deepcopy(network)
    tracer = _Tracer(taps)
    try:
        graph = tracer.trace(network)
    except Exception as error:  # users bring networks of any kind, and fx raises all kinds of errors
        _log.debug("no batch norm is folded: torch.fx cannot trace the network (%s)", error)
        return network
    calls = _Calls(network, graph, tracer.read)
    for conv, path, norm in calls.foldable():
        _fold(conv, norm)
        parent, _, name = path.rpartition(".")
        setattr(network.get_submodule(parent), name, nn.Identity())
    for relu in calls.overwriting():
        relu.inplace = True
    return network


class _Tracer(fx.Tracer):
    """Remembers in ``read`` which values the modules at ``taps`` return, be they layers or whole blocks."""

    def __init__(self, taps: Collection[str]) -> None:
        super().__init__()
        self._taps = set(taps)
        self.read: set[fx.Node] = set()

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        value = super().call_module(m, forward, args, kwargs)
        if self.path_of_module(m) in self._taps and isinstance(value, fx.Proxy):
            self.read.add(value.node)
        return value


class _Calls:
    """Which module of a traced network reads which one's output.

    Args:
        network: the network.
        graph: its forward pass.
        read: values that somebody else reads as well.
    """

    def __init__(self, network: nn.Module, graph: fx.Graph, read: Collection[fx.Node]) -> None:
        calls = [node for node in graph.nodes if node.op == "call_module"]
        self._modules = {node: network.get_submodule(str(node.target)) for node in calls}
        self._times = Counter(self._modules.values())
        self._read = read

    def foldable(self) -> list[tuple[nn.Conv2d, str, nn.BatchNorm2d]]:
        """Convolutions, each with the batch norm (and its path) that alone reads it, but for what evaluation skips."""
        found = []
        for node, norm in self._modules.items():
            source = self._source(node)
            while source is not None and type(self._modules.get(source)) in _SKIPPED:
                source = self._source(source)
            conv = None if source is None else self._modules.get(source)
            if type(conv) is nn.Conv2d and type(norm) is nn.BatchNorm2d and norm.running_mean is not None:
                found.append((conv, str(node.target), norm))
        return [one for one in found if self._times[one[0]] == self._times[one[2]] == 1]

    def overwriting(self) -> list[nn.ReLU]:
        """ReLUs that at every call alone read the fresh output of a layer, or a sum."""
        calls: dict[nn.ReLU, list[bool]] = {}
        for node, relu in self._modules.items():
            if type(relu) is nn.ReLU:
                source = self._source(node)
                fresh = source is not None and (type(self._modules.get(source)) in _FRESH or source.target in _SUMS)
                calls.setdefault(relu, []).append(fresh)
        return [relu for relu, fresh in calls.items() if all(fresh)]

    def _source(self, node: fx.Node) -> fx.Node | None:
        """The value that a module reads, if nobody else does."""
        source = node.args[0] if node.args else None
        alone = isinstance(source, fx.Node) and len(source.users) == 1 and source not in self._read
        return source if alone and isinstance(source, fx.Node) else None


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Makes a convolution do what it and the batch norm after it did, by float64 arithmetic."""
    mean, variance = torch.as_tensor(norm.running_mean).double(), torch.as_tensor(norm.running_var).double()
    scale, shift = (torch.ones_like(mean), -mean) if norm.weight is None else (norm.weight.double(), -mean)
    scale = scale / (variance + norm.eps).sqrt()
    if conv.bias is not None:
        shift = shift + conv.bias.double()
    bias = shift * scale if norm.bias is None else shift * scale + norm.bias.double()
    weight = conv.weight.double() * scale.view(-1, 1, 1, 1)
    conv.weight, conv.bias = (
        nn.Parameter(value.detach().to(conv.weight.dtype), requires_grad=False) for value in (weight, bias)
    )
