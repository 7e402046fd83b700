"""From a checkpoint file of any age to a dictionary of tensors."""

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from ood_bench.checkpoints.archives import read_legacy, read_zip
from ood_bench.checkpoints.container import UNPACKED_LIMIT, Layout, unwrap
from ood_bench.checkpoints.inert import Inert
from ood_bench.checkpoints.storages import StoredTensor
from ood_bench.errors import ArtifactError
from ood_bench.utils.files import clear_io_errors

# Under which of its keys a training script puts the network, in the order of trust.
_NESTS = ("state_dict", "model_state_dict", "net", "model", "network", "backbone", "params")
_MOST_MODULES = 20_000


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Reads the tensors of a network, by the names that they have in the file. No code of the file is ever run.

    Understands safetensors, ``torch.save`` since 0.1.10 (state dicts, dictionaries that hold one, and whole pickled
    modules, whose classes are not needed), each as it is or in a gzip, tar or zip file.

    Args:
        path: the file.

    Raises:
        ArtifactError: if it cannot be read, is something else, is damaged, or holds a pickle that is refused.
    """
    with clear_io_errors("read the checkpoint", path):
        content = path.read_bytes()
    try:
        tensors = _tensors(_tree(*unwrap(content)))
        return {name: value.read() if isinstance(value, StoredTensor) else value for name, value in tensors.items()}
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error


def _tree(content: bytes, layout: Layout) -> Any:
    if layout is Layout.safetensors:
        try:
            return safetensors.torch.load(content)
        except (SafetensorError, ValueError, KeyError) as error:
            raise ArtifactError(f"a truncated or damaged safetensors file ({error}): download it again") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about protocols; what is wrong with a file is said by an error
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # torch raises a dozen kinds; whatever the reason, the reader below knows it better
        return read_legacy(content) if layout is Layout.legacy else read_zip(content, UNPACKED_LIMIT)


def _tensors(tree: Any) -> dict[str, Tensor | StoredTensor]:
    """Finds the network in what a file holds."""
    for _ in range(len(_NESTS)):
        if isinstance(tree, Inert):
            return _of_module(tree)
        if not isinstance(tree, Mapping):
            break
        nests = [key for key in _NESTS if isinstance(tree.get(key), Mapping | Inert)]
        if not nests:
            found = {key: value for key, value in tree.items() if isinstance(value, Tensor | StoredTensor)}
            if found:
                return found
            keys = ", ".join(str(key) for key in list(tree)[:12] if isinstance(key, str | int))
            raise ArtifactError(f"no tensors under any of {', '.join(_NESTS)}; its keys: {keys or 'none'}")
        tree = tree[nests[0]]
    raise ArtifactError(f"holds a {type(tree).__name__}, not the weights of a network")


def _of_module(root: Inert) -> dict[str, Tensor | StoredTensor]:
    """State dict of a pickled module, from the dictionaries that every torch module keeps its parts in."""
    found: dict[str, Tensor | StoredTensor] = {}
    pending, visited = [("", root)], 0
    while pending:
        prefix, module = pending.pop()
        visited += 1
        if visited > _MOST_MODULES:
            raise ArtifactError(f"holds more than {_MOST_MODULES} modules, or one that holds itself: no network does")
        state = module.state if isinstance(module.state, dict) else {}
        parts = [*_items(state.get("_parameters")), *_items(state.get("_buffers"))]
        found |= {f"{prefix}{name}": value for name, value in parts if isinstance(value, Tensor | StoredTensor)}
        children = [(f"{prefix}{name}.", child) for name, child in _items(state.get("_modules"))]
        pending += [(name, child) for name, child in reversed(children) if isinstance(child, Inert)]
    if not found:
        raise ArtifactError(f"holds an object of {root.name.dotted} without any weights")
    return found


def _items(part: Any) -> list[tuple[str, Any]]:
    return list(part.items()) if isinstance(part, dict) else []
