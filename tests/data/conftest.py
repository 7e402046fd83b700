"""Real archives where they are on hand, and tiny files in published layouts."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def pixels() -> Callable[..., np.ndarray]:
    """Makes uint8 arrays of a given shape, the same each time."""

    def make(*shape: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)

    return make


@pytest.fixture
def write_idx() -> Callable[..., Path]:
    """Writes an IDX file, gzipped if its name ends so."""

    def write(path: Path, values: np.ndarray) -> Path:
        content = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        return path

    return write


@pytest.fixture
def write_image() -> Callable[..., Path]:
    """Writes a uint8 ``[H, W]`` or ``[H, W, C]`` array as an image file, or a PIL image as it is."""

    def write(path: Path, content: np.ndarray | Image.Image) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        (content if isinstance(content, Image.Image) else Image.fromarray(content)).save(path)
        return path

    return write
