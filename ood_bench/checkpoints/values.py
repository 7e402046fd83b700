"""Weights that no trained network has: integers for floating-point numbers, NaN, negative variances."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ood_bench.errors import ArtifactError
from ood_bench.utils.printable import listed

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def wrong_types(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """Tensors of a file that are no plain floating-point numbers where the model's are, with their types."""
    wrong = {
        name: value.dtype
        for name, value in found.items()
        if wanted[name].is_floating_point() and value.dtype not in _FLOATS
    }
    return [f"{name} is {str(kind).removeprefix('torch.')}{_why(kind)}" for name, kind in wrong.items()]


def _why(kind: torch.dtype) -> str:
    return ": quantised weights need their scales" if kind.itemsize == 1 and kind != torch.bool else ""


def refuse_values(state: Mapping[str, Tensor]) -> None:
    """Refuses weights that no trained network has.

    Args:
        state: tensors by the names of the model, in its types.

    Raises:
        ArtifactError: with the names of tensors that hold NaN or infinity, and of running variances below 0.
    """
    floats = {name: value for name, value in state.items() if value.is_floating_point()}
    infinite = {name: ~value.isfinite() for name, value in floats.items()}
    negative = {name: value < 0 for name, value in floats.items() if name.endswith("running_var")}
    faults = [
        f"{text} in {places}"
        for text, found in (("NaN or infinity", infinite), ("a variance below 0", negative))
        if (places := _places(found))
    ]
    if faults:
        raise ArtifactError(
            f"its weights are not those of a trained network: {'; '.join(faults)}",
            "is the file damaged, did its training diverge, or do the values not fit into the model's type?",
        )


def _places(found: Mapping[str, Tensor]) -> str:
    """The tensors with faulty values, and in how many places."""
    faulty = [f"{name} ({int(where.sum())} of {where.numel()})" for name, where in found.items() if where.any()]
    return listed(faulty)
