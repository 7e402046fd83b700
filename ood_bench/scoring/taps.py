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


def _module(classifier: Classifier, tap: str) -> nn.Module:
    try:
        return classifier.scoring_network.get_submodule(classifier.taps[tap])
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
def reading(classifier: Classifier, readers: Mapping[str, Callable[[Tensor], None]]) -> Iterator[None]:
    """Calls ``readers[tap]`` with that tap's value whenever the classifier's ``scoring_network`` runs inside the block.

    Raises:
        ConfigError: if the classifier has no such tap.
    """

    def hook(reader: Callable[[Tensor], None]) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda _module, _inputs, value: reader(value)

    modules = [_module(classifier, tap) for tap in readers]  # all of them before the first hook: one may be unknown
    handles = [
        module.register_forward_hook(hook(reader)) for module, reader in zip(modules, readers.values(), strict=True)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def forward_to(classifier: Classifier, x: Tensor, tap: str) -> Tensor:
    """Value of one tap for normalised images ``[B, C, H, W]``; what comes after it is not computed.

    Raises:
        ConfigError: if the classifier has no such tap.
    """
    return forward_to_all(classifier, x, [tap])[tap]


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
            kept[tap] = forward_to(classifier, x, tap)
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
