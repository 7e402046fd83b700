"""Where and with what a number was made."""

import functools
import importlib.metadata
import platform
import re
import subprocess
from pathlib import Path

import torch
from msgspec.structs import replace

from ood_bench.results.schema import Environment

_PACKAGES = ("ood-bench", "torch", "torchvision", "timm", "numpy", "scikit-learn", "hydra-core", "pillow")


def environment(device: torch.device) -> Environment:
    """What a record says of code revision, versions and machine; nothing that names the machine or its owner."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    return replace(_lasting(device), threads=torch.get_num_threads(), deterministic=deterministic)


@functools.cache
def _lasting(device: torch.device) -> Environment:
    """What stays as it is while the process runs."""
    revision, dirty = _git()
    versions = {name: _version(name) for name in _PACKAGES}
    return Environment(
        git_revision=revision,
        git_dirty=dirty,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        cpu=_cpu(),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        blas=f"{_blas()}, {torch.backends.cpu.get_cpu_capability()}",
        packages={name: version for name, version in versions.items() if version},
    )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _git() -> tuple[str, bool]:
    """Revision of the code, and whether package or configs differ from it."""
    top = Path(__file__).resolve().parents[2]

    def ask(*words: str) -> str:
        command = ["git", "-C", str(top), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603

    try:
        if Path(ask("rev-parse", "--show-toplevel")).resolve() != top:
            return "unknown", False
        return ask("rev-parse", "HEAD"), bool(ask("status", "--porcelain", "--", "ood_bench", "conf"))
    except (OSError, subprocess.SubprocessError):
        return "unknown", False


def _blas() -> str:
    """The library of linear algebra that torch was built with, as in ``"mkl"``."""
    found = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    return found[1] if found else "unknown BLAS"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
