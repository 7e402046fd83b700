"""The shipped configs as files: their folder, the options of a group, and a line about each option."""

import os
from collections.abc import Sequence
from pathlib import Path

from ood_bench.errors import ConfigError


def conf_dir() -> Path:
    """Folder of the shipped configs: inside the package once installed, beside it in a checkout.

    Raises:
        ConfigError: if neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "config.yaml").is_file():
            return folder
    raise ConfigError(f"no conf folder in {package} or beside it: the installation is incomplete")


def options(group: str, own: Sequence[Path] = ()) -> dict[str, str]:
    """The options of a group in alphabetical order, each with the first comment line of its file.

    Args:
        group: the group's name.
        own: folders of configs beside the shipped one, which comes first.
    """
    found = {path.stem: path for folder in (*reversed(own), conf_dir()) for path in (folder / group).glob("*.yaml")}
    return {name: _about(path) for name, path in sorted(found.items())}


def _about(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = (line.removeprefix("#").strip() for line in lines if line.startswith("#"))
    return next((comment for comment in comments if not comment.startswith("@package")), "")


def default_data_root() -> str:
    """The data root when ``data.root`` is not given: the environment variable ``OOD_BENCH_DATA``, else ``data``."""
    return os.environ.get("OOD_BENCH_DATA", "data")


def default_checkpoint_root() -> Path:
    """The folder of checkpoints: the environment variable ``OOD_BENCH_CHECKPOINTS``, else ``checkpoints``."""
    return Path(os.environ.get("OOD_BENCH_CHECKPOINTS", "checkpoints"))
