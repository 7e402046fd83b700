"""Repeated passes of a random network over the same images that share everything before the first random layer."""

import functools
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass
class _Call:
    """A module's call before the first random layer, in the order in which calls begin.

    Attributes:
        output: what it gave; none while it is not finished, which a module that holds a random layer never is.
        version: torch's count of changes of the output in place, as it was then.
    """

    output: Tensor | None = None
    version: int = 0

    @property
    def intact(self) -> bool:
        return self.output is None or self.output._version == self.version


class Replay:
    """Passes of which all but the first start at the first random layer.

    The first pass over a batch keeps what every module gave that was finished before the first random layer began; the
    others take those tensors instead of calling the modules. What a network computes outside of modules, such as the
    sum with a shortcut, is computed anew, so that branches around a random layer need no care. Random numbers are drawn
    in the order of separate passes, and the results are theirs to the bit.

    Nothing is shared where that would be wrong: if something else draws random numbers before the first random layer,
    or if a kept tensor is changed in place outside of modules.

    Args:
        network: a copy of the caller's own, whose modules are wrapped here; to be used without gradients, but not in
            torch's inference mode, which does not count changes.
        random: those of its modules that draw random numbers.
    """

    def __init__(self, network: nn.Module, random: Collection[nn.Module]) -> None:
        self._network, self._random = network, set(random)
        self._calls: list[_Call] = []
        self._recording, self._shares, self._next = False, True, 0
        for module in network.modules():
            if getattr(module, "inplace", None) is True:
                module.inplace = False  # type: ignore[assignment]
            module.forward = functools.partial(self._called, module, module.forward)

    def passes(self, x: Tensor, count: int) -> Iterator[Tensor]:
        """The network's output on ``x``, ``count`` times."""
        self._recording, self._before = self._shares, _random_state(x.device)
        for _ in range(count):
            self._next = 0
            output = self._network(x)
            if self._recording:
                self._stop_recording(x.device)
            if not all(call.intact for call in self._calls):
                self._calls, self._shares = [], False
            yield output
        self._calls = []

    def _called(self, module: nn.Module, forward: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if self._recording:
            return self._record(module, forward, *args, **options)
        if self._next < len(self._calls):
            call = self._calls[self._next]
            self._next += 1
            if call.output is not None:
                return call.output
        return forward(*args, **options)

    def _record(self, module: nn.Module, forward: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if module in self._random:
            self._stop_recording(args[0].device)
            return forward(*args, **options)
        place = len(self._calls)
        self._calls.append(_Call())
        output = forward(*args, **options)
        if self._recording and isinstance(output, Tensor):
            self._calls[place:] = [_Call(output, output._version)]  # its inner modules are not called again
        return output

    def _stop_recording(self, device: torch.device) -> None:
        self._recording = False
        if not torch.equal(self._before, _random_state(device)):
            self._calls, self._shares = [], False
        self._next = len(self._calls)


def _random_state(device: torch.device) -> Tensor:
    """State of the generator from which layers on a device draw."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()
