"""From a checkpoint file of any age to a dictionary of tensors."""

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from ood_bench.checkpoints.container import AGAIN, Layout, torch_archive, unwrap
from ood_bench.checkpoints.unpickle import Inert, PickleModule
from ood_bench.errors import ArtifactError, reason
from ood_bench.utils.files import clear_io_errors

# Under which of its keys a training script puts the network, in the order of trust.
_NESTS = ("state_dict", "model_state_dict", "net", "model", "network", "backbone", "params")
_MOST_LETTERS = 10_000_000  # of all names in a module, so that a small file does not fill the memory


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
        return _tensors(_tree(*unwrap(content)))
    except ArtifactError as error:
        message = "".join(letter if letter.isprintable() else "?" for letter in error.message)  # names in the file
        raise ArtifactError(f"{path}: {message}", error.hint) from error


def _tree(content: bytes, layout: Layout) -> Any:
    try:
        if layout is Layout.safetensors:
            return safetensors.torch.load(content)
        file, sizes = torch_archive(content) if layout is Layout.zip else (io.BytesIO(content), {})
        module = PickleModule(file.getbuffer().nbytes, sizes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of protocols and storages; what is wrong with a file raises
            return torch.load(file, "cpu", module, weights_only=False, encoding="latin1")
    except ArtifactError:
        raise
    except Exception as error:  # torch, zipfile and pickle raise a dozen kinds
        raise ArtifactError(f"truncated or damaged ({reason(error):.200})", AGAIN) from error


def _tensors(tree: Any) -> dict[str, Tensor]:
    """Finds the network in what a file holds."""
    for _ in range(len(_NESTS)):
        if isinstance(tree, Inert):
            return _of_module(tree)
        if not isinstance(tree, Mapping):
            break
        nests = [key for key in _NESTS if isinstance(tree.get(key), Mapping | Inert)]
        if not nests:
            found = {key: value for key, value in tree.items() if isinstance(value, Tensor)}
            if found:
                return found
            keys = ", ".join(f"{key:.40}" for key in list(tree)[:12])
            raise ArtifactError(f"no tensors under any of {', '.join(_NESTS)}; its keys: {keys or 'none'}")
        tree = tree[nests[0]]
    raise ArtifactError(f"holds a {type(tree).__name__}, not the weights of a network")


def _of_module(root: Inert) -> dict[str, Tensor]:
    """State dict of a pickled module, from the dictionaries that every torch module keeps its parts in."""
    found: dict[str, Tensor] = {}
    pending, letters = [("", root)], 0
    while pending:
        prefix, module = pending.pop()
        state = module.state if isinstance(module.state, dict) else {}
        parts = [*_items(state.get("_parameters")), *_items(state.get("_buffers"))]
        children = _items(state.get("_modules"))
        letters += sum(len(prefix) + len(name) + 1 for name, _ in [*parts, *children])
        if letters > _MOST_LETTERS:
            raise ArtifactError(f"holds names of more than {_MOST_LETTERS} letters, or a module that holds itself")
        found |= {f"{prefix}{name}": value for name, value in parts if isinstance(value, Tensor)}
        pending += [(f"{prefix}{name}.", child) for name, child in reversed(children) if isinstance(child, Inert)]
    if not found:
        raise ArtifactError(f"holds an object of {root.name.dotted} without any weights")
    return found


def _items(part: Any) -> list[tuple[str, Any]]:
    return list(part.items()) if isinstance(part, dict) else []
