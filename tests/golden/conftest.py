"""What papers' own code gave on small inputs: one ``.npz`` file a system, which its README describes key by key.

The files are not part of the repository. ``OOD_BENCH_GOLDEN`` names their folder, by default ``../shared/golden`` seen
from the repository's root; files of the same keys from other seeds must pass as well, so no test holds their numbers.
"""

import functools
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

DEFAULT = Path(__file__).resolve().parents[2].parent / "shared" / "golden"


class Golden(dict[str, np.ndarray]):
    """The arrays of one file by key."""

    def __repr__(self) -> str:
        return f"Golden({len(self)} arrays)"

    def groups(self, prefix: str) -> list[str]:
        """The names that come right after ``prefix/`` in the keys, each once, in the file's order."""
        start = f"{prefix}/"
        return list(dict.fromkeys(key[len(start) :].split("/")[0] for key in self if key.startswith(start)))


@functools.cache
def _read(path: Path) -> Golden:
    with np.load(path, allow_pickle=False) as file:
        return Golden({key: file[key] for key in file.files})


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Golden]:
    """Reads a system's file by its name, such as ``golden("odin")``.

    Without the folder the tests are skipped, but in continuous integration they fail.
    """
    folder = Path(os.environ.get("OOD_BENCH_GOLDEN") or DEFAULT)
    if not folder.is_dir():
        message = f"no golden values in {folder}: set OOD_BENCH_GOLDEN to their folder"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return lambda name: _read(folder / f"{name}.npz")


@pytest.fixture(scope="session")
def networks() -> ModuleType:
    """The tiny networks, and what detectors score them with."""
    spec = importlib.util.spec_from_file_location("golden_networks", Path(__file__).with_name("networks.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def gradients() -> Callable[..., list[np.ndarray]]:
    """Gives a loss and its gradients with respect to each of its inputs."""

    def compute(loss: Callable[..., torch.Tensor], *inputs: np.ndarray) -> list[np.ndarray]:
        leaves = [torch.from_numpy(one).requires_grad_() for one in inputs]
        value = loss(*leaves)
        return [one.detach().numpy() for one in (value, *torch.autograd.grad(value, leaves))]

    return compute
