"""Fits tensors with the names of a published checkpoint to a network: prefixes, synonyms, and one list of faults."""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ood_bench.checkpoints.choice import renamed
from ood_bench.checkpoints.values import refuse_values, wrong_types
from ood_bench.errors import ArtifactError
from ood_bench.utils.printable import listed

# What training scripts wrap networks in, and what this package's wrapper of other libraries' networks adds.
_WRAPPERS = re.compile(
    r"^(module|net|model|network|backbone|encoder|feature_extractor|underlying_model|_orig_mod|_forward_module)\."
)
_INSIDE = re.compile(r"\b_(fsdp_wrapped_module|checkpoint_wrapped_module|orig_mod)\.")  # also around parts of a network
_ADDED = ("", "net.")
# Parts of names that mean the same thing, here and in published code.
_SYNONYMS = (
    ("fc", "linear", "classifier", "head", "last_linear"),
    ("shortcut", "downsample", "convShortcut"),
)
_COUNTER = "num_batches_tracked"
# Tensors beside a network that do not belong to it: number of averaged steps, class weights of the loss, RobustBench's
# normalisation.
_HARMLESS = re.compile(r"^(module\.|model\.)*(n_averaged|(criterion|loss|loss_fn)\..+|mu|sigma)$")
_LISTED = 5
_LONGEST = 1000  # the spellings of one name fill the memory where it is endless


@dataclass(frozen=True)
class Fitting:
    """A file's tensors, fitted to a network.

    Attributes:
        state: the network's state dict.
        left_out: tensors of the file that are known not to belong to the network, by their names there.
    """

    state: dict[str, Tensor]
    left_out: dict[str, Tensor]


def fit(state: Mapping[str, Tensor], network: nn.Module) -> Fitting:
    """The network's state dict, from tensors whose names may differ by wrappers and synonyms.

    Counters of batches, which batch norms have since 2018, are added where they are missing; values are converted to
    the network's types.

    Args:
        state: tensors by the names of the file.
        network: gives names, shapes and types; it is not changed.

    Raises:
        ArtifactError: with names that are missing or unexpected, shapes and types that differ; if a name is endless, or
            the values are not those of a trained network.
    """
    if any(len(name) > _LONGEST for name in state):
        raise ArtifactError(f"it holds a tensor whose name has more than {_LONGEST} letters: no network does")
    wanted = network.state_dict()
    found: dict[str, Tensor] = {}
    unexpected = []
    for name, value in state.items():
        if name.endswith(_COUNTER) and value.ndim:  # [1] in some files: it starts at 0, as where it is missing
            continue
        target = next((one for one in _spellings(name) if one in wanted and one not in found), None)
        if target is not None:
            found[target] = value
        elif not name.endswith(_COUNTER):
            unexpected.append(name)
    left_out = {name: state[name] for name in unexpected if _HARMLESS.match(name)}
    faults = {
        "missing": [name for name in wanted if name not in found and not name.endswith(_COUNTER)],
        "unexpected": [name for name in unexpected if name not in left_out],
        "of another shape": [
            f"{name} is {tuple(value.shape)}, the model's {tuple(wanted[name].shape)}"
            for name, value in found.items()
            if value.shape != wanted[name].shape
        ],
        "of another type": wrong_types(found, wanted),
    }
    if any(faults.values()):
        raise ArtifactError(_complaint(faults), _hint(faults, found, wanted))
    zero = torch.zeros((), dtype=torch.int64)
    fitting = {name: found.get(name, zero).to(value.dtype, copy=True) for name, value in wanted.items()}
    refuse_values(fitting)
    return Fitting(fitting, left_out)


def _hint(faults: Mapping[str, list[str]], found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """What to do about names or shapes that differ."""
    if any(value.shape[2:] == (7, 7) != wanted[name].shape[2:] for name, value in found.items()):
        return (
            "its first convolution has 7x7 pixels, as networks for ImageNet have: "
            "choose model=torchvision model.torchvision_name=NAME, or model=timm model.timm_name=NAME"
        )
    return _nearest(faults["unexpected"], faults["missing"])


def _nearest(unexpected: Sequence[str], missing: Sequence[str]) -> str:
    """A hint at the renaming that gives at least half of the missing tensors, or at how to rename if there is none."""
    pairs = Counter(pair for name in missing[:_LISTED] for extra in unexpected for pair in _renamings(extra, name))
    for (old, new), _ in pairs.most_common(_LISTED):
        gained = {renamed(extra, old, new) for extra in unexpected} & set(missing)
        if 2 * len(gained) >= len(missing) and len(gained) > 1:
            in_run = f"\"checkpoint_rename={{{old}: '{new}'}}\""
            return f"{len(gained)} of them would fit with --rename '{old}={new}' (in a run {in_run})"
    if unexpected and missing:
        return (
            "choose the model that the file is of; if it is this one under other names, map them: --rename OLD=NEW "
            '(in a run "checkpoint_rename={OLD: NEW}")'
        )
    return ""


def _renamings(extra: str, name: str) -> Iterator[tuple[str, str]]:
    """Old and new parts of names that turn a file's name into the network's: other beginnings, parts put in."""
    if rest := _common_end(extra, name):
        old, new = extra.removesuffix(rest), name.removesuffix(rest)
        yield (old, new) if old else ("*", f"{new}*")
    parts = extra.split(".")
    for start, stop in itertools.combinations(range(1, len(parts)), 2):
        if ".".join([*parts[:start], *parts[stop:]]) == name:
            yield f"*.{'.'.join(parts[start:stop])}.", "*."


def _common_end(one: str, other: str) -> str:
    """The last parts of two names that are equal."""
    pairs = zip(reversed(one.split(".")), reversed(other.split(".")), strict=False)
    return ".".join(reversed([part for part, same in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)]))


def _spellings(name: str) -> Iterator[str]:
    """What a network might call the tensor that a file calls ``name``, the file's own spelling first."""
    bare = [name]
    if (shorter := _INSIDE.sub("", name)) != name:
        bare.append(shorter)
    while (shorter := _WRAPPERS.sub("", bare[-1])) != bare[-1]:
        bare.append(shorter)
    for added, stem in itertools.product(_ADDED, bare):
        yield f"{added}{stem}"
    for stem in bare:
        parts = stem.split(".")
        for index, group in itertools.product(range(len(parts)), _SYNONYMS):
            if parts[index] in group:
                yield from (".".join([*parts[:index], other, *parts[index + 1 :]]) for other in group)


def _complaint(faults: Mapping[str, list[str]]) -> str:
    lines = ["its tensors do not fit the model (is it another architecture, or are there other options or --classes?)"]
    for kind, names in faults.items():
        if names:
            lines.append(f"{len(names)} {kind}: {listed(names, _LISTED)}")
    return "; ".join(lines)
