"""Reading intermediate results of a network while it runs, and running it only as far as needed."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ood_bench.errors import ConfigError
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.quantities import OUTPUT


class _Reached(Exception):  # noqa: N818 - not an error: it ends a forward pass early
    """Raised in a hook when nothing after it is needed."""


def _module(classifier: Classifier, network: nn.Module, tap: str) -> nn.Module:
    try:
        return network.get_submodule(classifier.taps[tap])
    except (KeyError, AttributeError) as error:
        name = classifier.card.get("spec", {}).get("model", {}).get("name", "the model")
        raise ConfigError(f"{name} has no tap {tap!r}; it has {', '.join(classifier.taps)}") from error


def named_taps(classifier: Classifier, words: Sequence[str]) -> list[str]:
    """Names of taps from a method's list: ``[all]`` of them, ``[stages]``, or those that it names.

    ``[stages]`` means the network's ``stage_taps``: the stem and the ends of its stages, where it has stages, else all.
    """
    if list(words) == ["stages"]:
        return list(getattr(classifier.network, "stage_taps", None) or classifier.taps)
    return list(classifier.taps) if list(words) == ["all"] else list(words)


@contextlib.contextmanager
def reading(
    classifier: Classifier, readers: Mapping[str, Callable[[Tensor], None]], network: nn.Module | None = None
) -> Iterator[None]:
    """Calls ``readers[tap]`` with that tap's value ``[B, C, ...]`` when a network runs, once, in the block.

    Args:
        classifier: says where the taps are.
        readers: what to call, by tap.
        network: the network that runs; the classifier's ``scoring_network`` if none.

    Raises:
        ConfigError: if the classifier has no such tap; if the tap's module is called twice, or does not give one tensor
            whose channel axis is known.
    """
    called: set[str] = set()

    def hook(tap: str) -> Callable[[nn.Module, Any, Any], None]:
        def read(_module: nn.Module, _inputs: Any, value: Any) -> None:
            if tap in called:
                raise ConfigError(f"tap {tap} is called twice in a pass", "choose a module that is called once")
            called.add(tap)
            readers[tap](channels_first(classifier.network, tap, value))

        return read

    network = classifier.scoring_network if network is None else network
    modules = {tap: _module(classifier, network, tap) for tap in readers}  # all before a hook: one may be unknown
    handles = [module.register_forward_hook(hook(tap)) for tap, module in modules.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def channels_first(network: nn.Module, tap: str, value: Any) -> Tensor:
    """A tap's value as ``[B, C, ...]``.

    Its channels are the second axis, unless the network says otherwise: ``channels_last_taps`` are the names of the
    taps whose channels come last (tokens ``[B, T, C]``, maps ``[B, H, W, C]``), and ``channels_last_ranks`` says that
    of all taps with so many axes. Values of three axes are refused where the network says neither.

    Raises:
        ConfigError: if the value is no tensor of at least two axes, or it is unknown which one the channels are.
    """
    if not isinstance(value, Tensor) or value.ndim < 2:
        kind = f"a tensor {list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise ConfigError(f"tap {tap} gives {kind}", "choose a module that gives one tensor [B, C] or [B, C, H, W]")
    named = getattr(network, "channels_last_taps", None)
    ranks = getattr(network, "channels_last_ranks", ())
    if value.ndim == 3 and named is None and value.ndim not in ranks:
        raise ConfigError(
            f"tap {tap} gives [B, {value.shape[1]}, {value.shape[2]}], and it is unknown which axis the channels are",
            f"let the network say so: channels_last_taps = ({tap!r},) if they come last (tokens), else ()",
        )
    last = tap in named if named is not None else value.ndim in ranks
    return value.movedim(-1, 1) if last and value.ndim > 2 else value


def forward_to_all(classifier: Classifier, x: Tensor, taps: Collection[str]) -> dict[str, Tensor]:
    """Values of several taps for normalised images ``[B, C, H, W]``; what comes after the last is not computed.

    Raises:
        ConfigError: if the classifier has no such tap.
    """
    kept: dict[str, Tensor] = {}
    versions: dict[str, int] = {}
    inner = set(taps) - {OUTPUT}

    def keep(tap: str, value: Tensor) -> None:
        kept[tap], versions[tap] = value, _version(value)
        if OUTPUT not in taps and kept.keys() == inner:
            raise _Reached

    readers = {tap: lambda value, tap=tap: keep(tap, value) for tap in inner}
    with reading(classifier, readers), contextlib.suppress(_Reached):
        kept[OUTPUT] = classifier.scoring_network(x)
    for tap, version in versions.items():
        if _version(kept[tap]) != version:  # the network went on to overwrite it
            kept |= forward_to_all(classifier, x, [tap])
    return kept


def _version(value: Tensor) -> int:
    """Torch's count of changes in place; inference tensors have none."""
    return 0 if value.is_inference() else value._version


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Switches TF32 off inside the block: scores at T = 1000 need every bit of float32."""
    matmul, convolution = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, convolution.allow_tf32
    matmul.allow_tf32 = convolution.allow_tf32 = False
    try:
        yield
    finally:
        matmul.allow_tf32, convolution.allow_tf32 = before
