"""The device that networks are trained and scored on."""

import contextlib
import ctypes
import sys
from collections.abc import Iterator

import torch

from ood_bench.errors import ConfigError

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_LARGE = 1 << 30


def device_named(name: str) -> torch.device:
    """The device that ``device=`` asks for; ``auto`` takes a GPU if there is one.

    Raises:
        ConfigError: if there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name != "cpu":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(name.partition(":")[2] or 0) >= count:
            raise ConfigError(f"device={name}: torch finds {count} CUDA devices here: set device=cpu or device=auto")
    return torch.device(name)


@contextlib.contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Computes with so many threads on the processor inside the block; with torch's own number if none."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def freed_memory_kept(device: torch.device) -> Iterator[None]:
    """Inside the block, what is freed stays with the process, on a CPU where the C library is glibc.

    glibc gives maps of more than 32 MB back to the system at once, which clears them anew when they are next needed: a
    third of the time of training a DenseNet. Afterwards glibc's own largest thresholds hold.
    """
    library = ctypes.CDLL(None) if sys.platform == "linux" and device.type == "cpu" else None
    if library is None or not hasattr(library, "mallopt"):
        yield
        return
    library.mallopt(_TRIM_THRESHOLD, _LARGE)
    library.mallopt(_MMAP_THRESHOLD, _LARGE)
    try:
        yield
    finally:
        library.mallopt(_TRIM_THRESHOLD, 64 << 20)
        library.mallopt(_MMAP_THRESHOLD, 32 << 20)
        library.malloc_trim(0)


def generators_of(device: torch.device) -> list[torch.device]:
    """The ``devices`` of :func:`torch.random.fork_rng` for work on one device: only its generator, beside the CPU's.

    Without them torch saves the generators of all GPUs, and warns of it.
    """
    return [device] if device.type == "cuda" else []
