"""Stochastic passes: a network that keeps its dropout while it scores."""

import copy
import functools
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ood_bench.data.imageset import Array
from ood_bench.data.views import View
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.passes import refuse_not_finite
from ood_bench.scoring.taps import full_precision
from ood_bench.utils.device import generators_of
from ood_bench.utils.progress import ticking


def dropout_modules(network: nn.Module) -> list[nn.Module]:
    """All dropout layers of a network, of any kind."""
    kinds = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
    return [module for module in network.modules() if isinstance(module, kinds)]


def active(dropout: nn.Module) -> bool:
    """Whether a dropout layer has a rate above 0; torch draws no random numbers for the others."""
    return float(dropout.p) > 0  # type: ignore[arg-type]


def sample_passes(
    classifier: Classifier, view: View, passes: int, seed: int, batch_size: int, *, train_mode: bool
) -> Array:
    """Summary of repeated random passes.

    With ``train_mode`` every pass is a whole one, because each adapts the network for the next. Without it, passes
    share what comes before the first dropout layer (:class:`Replay`), with the same numbers to the bit. They are not
    joined to one larger batch: that would draw other numbers, and is no faster on a CPU.

    Args:
        classifier: the network; it is left as it is, the passes run on a copy.
        view: the images.
        passes: number of passes over each batch.
        seed: seeds torch's generators, so that the same view gives the same numbers.
        batch_size: images that go through together.
        train_mode: whether the whole network is in training mode, as in FSSD's first release, so that batch
            normalisation uses and goes on adapting the statistics of the scored batches; else only dropout is random.

    Returns:
        float64 ``[n, K + 1]``: the mean softmax over passes, then the variance over passes of the logit of the class
        with the largest mean logit.
    """
    network = copy.deepcopy(classifier.network)
    network.train(train_mode)
    for module in dropout_modules(network):
        module.train()
    replay = None if train_mode else Replay(network, [one for one in dropout_modules(network) if active(one)])
    done, rows = 0, np.empty((len(view), 0))
    with (
        ticking(f"{passes} random passes over {view.images.title}", len(view), "images") as ticker,
        torch.random.fork_rng(devices=generators_of(classifier.device)),
        full_precision(),
        torch.no_grad(),
    ):
        torch.manual_seed(seed)
        for batch in view.batches(batch_size):
            x = classifier.normalise(batch)
            runs = (network(x) for _ in range(passes)) if replay is None else replay.passes(x, passes)
            summary = _summary(torch.stack(list(runs)).double())
            refuse_not_finite(classifier, view, "in random passes", summary)
            if done == 0:  # one array made beforehand: see _Rows in passes.py
                rows = np.empty((len(view), summary.shape[1]))
            rows[done : done + len(x)] = summary
            done += len(x)
            ticker.advance(len(batch))
    return rows


def _summary(logits: Tensor) -> Array:
    """Rows ``[B, K + 1]`` from logits ``[passes, B, K]``; see :func:`sample_passes`."""
    mean = logits.softmax(dim=2).mean(dim=0)
    variance = logits.var(dim=0, unbiased=False).gather(1, logits.mean(dim=0).argmax(dim=1, keepdim=True))
    return torch.cat([mean, variance], dim=1).cpu().numpy()


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
    sum with a shortcut, is computed again, so that branches around a random layer need no care. Random numbers are
    drawn in the order of separate passes, and the results are theirs to the bit.

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
