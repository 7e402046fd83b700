"""The shipped configs as files: their folder, the options of a group, and a line about each option."""

import os
import sys
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


def config_files(group: str, own: Sequence[Path] = ()) -> dict[str, Path]:
    """The files of a group by the names of their options, in alphabetical order.

    Args:
        group: the group's name.
        own: folders of configs beside the shipped one, which comes first.
    """
    found = {path.stem: path for folder in (*reversed(own), conf_dir()) for path in (folder / group).glob("*.yaml")}
    return dict(sorted(found.items()))


def look_in(folder: Path) -> None:
    """Lets ``_target_`` name classes of a folder, such as those beside ``my_conf``."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def searched(own: Sequence[Path]) -> list[str]:
    """The override that makes Hydra look into folders of configs beside the shipped one; empty if there are none."""
    folders = ", ".join(f"'file://{folder.resolve()}'" for folder in own)
    return [f"hydra.searchpath=[{folders}]"] if own else []


def options(group: str, own: Sequence[Path] = ()) -> dict[str, str]:
    """The options of a group, each with the first comment line of its file; see :func:`config_files`."""
    return {name: _about(path) for name, path in config_files(group, own).items()}


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
