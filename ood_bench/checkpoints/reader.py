"""From a checkpoint file of any age to a dictionary of tensors."""

import hashlib
import io
import json
import warnings
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from ood_bench.checkpoints.container import AGAIN, Layout, check_names, torch_archive, unwrap
from ood_bench.checkpoints.entries import Contents, find_network
from ood_bench.checkpoints.unpickle import PickleModule
from ood_bench.errors import ArtifactError, reason
from ood_bench.utils.files import clear_io_errors, refuse_special


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of the network that :func:`read_checkpoint` finds in a file, by the names that they have there."""
    return read_checkpoint(path).tensors


def read_checkpoint(path: Path, entry: str | None = None, sha256: str | None = None) -> Contents:
    """Reads a network, and says where in the file it lay and what others lie there. No code of the file is ever run.

    Understands safetensors, ``torch.save`` since 0.1.10 (state dicts, dictionaries that hold one, and whole pickled
    modules, whose classes are not needed), each as it is or in a gzip, tar or zip file.

    Args:
        path: the file.
        entry: which network, see :func:`~ood_bench.checkpoints.entries.find_network`.
        sha256: the SHA-256 that the file had a moment ago, if what is read has to be that very file.

    Raises:
        ArtifactError: if it cannot be read, has changed, is something else, is damaged, does not fit in the memory, or
            holds a pickle that is refused.
    """
    try:
        with clear_io_errors("read the checkpoint", path, ""):
            refuse_special(path)
            content = path.read_bytes()
        if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
            raise ArtifactError(f"{path} has changed while it was read", "try again once nothing writes to it")
        return _found(path, content, entry)
    except MemoryError as error:
        raise ArtifactError(f"{path}: there is not enough memory to read it ({path.stat().st_size:,} bytes)") from error


def _found(path: Path, content: bytes, entry: str | None) -> Contents:
    try:
        return find_network(_tree(*unwrap(content)), entry)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error.message}", error.hint) from error


def _tree(content: bytes, layout: Layout) -> Any:
    try:
        if layout is Layout.safetensors:
            return _safetensors(content)
        file, sizes = torch_archive(content) if layout is Layout.zip else (io.BytesIO(content), {})
        module = PickleModule(file.getbuffer().nbytes, sizes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of protocols and storages; what is wrong with a file raises
            return torch.load(file, "cpu", module, weights_only=False, encoding="latin1")
    except (ArtifactError, MemoryError):
        raise
    except Exception as error:  # torch, zipfile and pickle raise a dozen kinds
        if "allocate memory" in str(error):  # torch's own kind of MemoryError
            raise MemoryError from error
        raise ArtifactError(f"truncated or damaged ({reason(error):.200})", AGAIN) from error


def _safetensors(content: bytes) -> dict[str, Tensor]:
    header = content[8 : 8 + int.from_bytes(content[:8], "little")]
    check_names(name for name, _ in json.loads(header, object_pairs_hook=list))  # its own reader takes the last of two
    return safetensors.torch.load(content)
