"""Fits tensors with the names of a published checkpoint to a network: prefixes, synonyms, and one list of faults."""

import itertools
import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from ood_bench.errors import ArtifactError

# What training scripts wrap networks in, and what this package's wrapper of other libraries' networks adds.
_WRAPPERS = re.compile(r"^(module|net|model|network|backbone|encoder|underlying_model|_orig_mod)\.")
_ADDED = ("", "net.")
# Parts of names that mean the same thing, here and in published code.
_SYNONYMS = (
    ("fc", "linear", "classifier", "head", "last_linear"),
    ("shortcut", "downsample", "convShortcut"),
)
_COUNTER = "num_batches_tracked"
_LISTED = 12
_LONGEST = 1000  # the spellings of one name fill the memory where it is endless


def fit(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The network's state dict, from tensors whose names may differ by wrappers and synonyms.

    Counters of batches, which batch norms have since 2018, are added where they are missing; values are converted to
    the network's types.

    Args:
        state: tensors by the names of the file.
        network: gives names, shapes and types; it is not changed.

    Raises:
        ArtifactError: with all names that are missing or unexpected and all shapes that differ; if a name is endless.
    """
    if any(len(name) > _LONGEST for name in state):
        raise ArtifactError(f"it holds a tensor whose name has more than {_LONGEST} letters: no network does")
    wanted = network.state_dict()
    found: dict[str, Tensor] = {}
    unexpected = []
    for name, value in state.items():
        target = next((one for one in _spellings(name) if one in wanted and one not in found), None)
        if target is not None:
            found[target] = value
        elif not name.endswith(_COUNTER):
            unexpected.append(name)
    missing = [name for name in wanted if name not in found and not name.endswith(_COUNTER)]
    shapes = [
        f"{name} is {tuple(value.shape)}, the model's {tuple(wanted[name].shape)}"
        for name, value in found.items()
        if value.shape != wanted[name].shape
    ]
    faults = [("missing", missing), ("unexpected", unexpected), ("of another shape", shapes)]
    if any(names for _, names in faults):
        raise ArtifactError(_complaint(faults))
    zero = torch.zeros((), dtype=torch.int64)
    return {name: found.get(name, zero).to(value.dtype, copy=True) for name, value in wanted.items()}


def _spellings(name: str) -> Iterator[str]:
    """What a network might call the tensor that a file calls ``name``, the file's own spelling first."""
    bare = [name]
    while (shorter := _WRAPPERS.sub("", bare[-1])) != bare[-1]:
        bare.append(shorter)
    for added, stem in itertools.product(_ADDED, bare):
        yield f"{added}{stem}"
    for stem in bare:
        parts = stem.split(".")
        for index, group in itertools.product(range(len(parts)), _SYNONYMS):
            if parts[index] in group:
                yield from (".".join([*parts[:index], other, *parts[index + 1 :]]) for other in group)


def _complaint(faults: list[tuple[str, list[str]]]) -> str:
    lines = ["its tensors do not fit the model (is it another architecture, or are there other options or --classes?)"]
    for kind, names in faults:
        if names:
            more = f", and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
            lines.append(f"{len(names)} {kind}: {', '.join(names[:_LISTED])}{more}")
    return "; ".join(lines)
