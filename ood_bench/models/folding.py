"""The same function in less time: batch norms folded into the convolutions before them, ReLUs that need no new map."""

import copy
import logging
import operator
from collections import Counter
from collections.abc import Collection
from typing import Any

import torch
from torch import fx, nn

from ood_bench.models.heads import DecomposedConfidence

_log = logging.getLogger(__name__)
_FRESH = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
_SKIPPED = (nn.Dropout, nn.Dropout2d, nn.Identity)
_SUMS: Collection[Any] = (operator.add, torch.add)


def folded(network: nn.Module, taps: Collection[str]) -> nn.Module:
    """A copy of a frozen network that computes the same logits and taps faster, to within float32's rounding.

    A batch norm that alone reads a convolution's output is folded into that convolution (in float64) and becomes an
    identity; a ReLU that alone reads a fresh map overwrites it, no other module does. What a tap returns is neither
    folded nor overwritten. A network whose forward pass ``torch.fx`` cannot trace is copied without folding, one that
    cannot be copied is returned.

    Args:
        network: in evaluation mode; it is left as it is.
        taps: paths of the modules whose outputs are read.
    """
    try:  # users bring networks of any kind, and copies and traces fail with all kinds of errors
        network = copy.deepcopy(network)
    except Exception as error:
        _log.debug("no batch norm is folded: the network cannot be copied (%s)", error)
        return network
    for module in network.modules():
        if module.__dict__.get("inplace") is True:
            module.inplace = False  # type: ignore[assignment]
    named = dict(network.named_modules(remove_duplicate=False))
    tracer = _Tracer([named[path] for path in taps if path in named])
    try:
        graph = tracer.trace(network)
    except Exception as error:
        _log.debug("no batch norm is folded: torch.fx cannot trace the network (%s)", error)
        return network
    calls = _Calls(network, graph, tracer.read)
    for conv, norm in calls.foldable():
        _fold(conv, norm)
        for parent in network.modules():  # which may hold it under several names
            for name in [name for name, child in parent.named_children() if child is norm]:
                setattr(parent, name, nn.Identity())
    for relu in calls.overwriting():
        relu.inplace = True
    return network


class _Proxy(fx.Proxy):
    """Tells ``a += b``, which gives no fresh value, from ``a + b``."""

    def __iadd__(self, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})


class _Tracer(fx.Tracer):
    """Remembers in ``read`` which values the modules ``taps`` return, be they layers or whole blocks."""

    def __init__(self, taps: Collection[nn.Module]) -> None:
        super().__init__()
        self._taps = set(taps)
        self.read: set[fx.Node] = set()

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        value = super().call_module(m, forward, args, kwargs)
        if m in self._taps and isinstance(value, fx.Proxy):
            self.read.add(value.node)
        return value

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """What stands for a value while the network is traced."""
        return _Proxy(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """As fx has it; a head with h and g cannot be looked into, and has nothing to fold."""
        return isinstance(m, DecomposedConfidence) or super().is_leaf_module(m, module_qualified_name)


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
        owners = [str(node.target).rpartition(".")[0] for node in graph.nodes if node.op == "get_attr"]
        self._bare = [network.get_submodule(owner) for owner in owners]  # whose parameters are read without a call

    def foldable(self) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        """Convolutions, each with the batch norm that alone reads it, but for what evaluation skips."""
        found = []
        for node, norm in self._modules.items():
            source = self._source(node)
            while source is not None and type(self._modules.get(source)) in _SKIPPED:
                source = self._source(source)
            conv = None if source is None else self._modules.get(source)
            if type(conv) is nn.Conv2d and type(norm) is nn.BatchNorm2d and norm.running_mean is not None:
                found.append((conv, norm))
        return [pair for pair in found if all(self._plain(module) for module in pair)]

    def _plain(self, module: nn.Module) -> bool:
        """Whether a layer is called once, and does nothing but its class's arithmetic on parameters of its own."""
        hooked = module._forward_hooks or module._forward_pre_hooks or module in self._bare
        made = any(not isinstance(getattr(module, name), nn.Parameter | None) for name in ("weight", "bias"))
        return self._times[module] == 1 and not hooked and not made

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
