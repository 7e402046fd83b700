"""The registry of published classifiers: names that stand for files, with what is known of them."""

import functools
import logging
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any
from urllib.parse import urlsplit

from omegaconf import OmegaConf
from pydantic import BaseModel, ConfigDict, Field

from ood_bench.data.download import download
from ood_bench.errors import ArtifactError, ConfigError
from ood_bench.utils.configs import default_checkpoint_root
from ood_bench.utils.files import sha256_file
from ood_bench.utils.suggest import did_you_mean

_log = logging.getLogger(__name__)
_ROUNDING = 1e-4


class Moments(BaseModel):
    """Mean and standard deviation of each channel on the [0, 1] scale."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def differs(self, other: Mapping[str, Any]) -> bool:
        """Whether an ID set's ``normalisation`` is another one; a difference of rounding is none."""
        ours, theirs = (*self.mean, *self.std), (*other["mean"], *other["std"])
        return len(ours) != len(theirs) or any(abs(a - b) > _ROUNDING for a, b in zip(ours, theirs, strict=True))


class Registered(BaseModel):
    """One published classifier.

    Attributes:
        name: its name, as in ``checkpoint=odin/densenet10``.
        file: its path below the folder of checkpoints.
        url: its address; empty where no program can fetch it.
        by_hand: how to get it without an address.
        sha256: the first digits of its SHA-256, eight or more, or all 64; empty if none are known.
        source: who published it.
        licence: its licence, as far as it is known.
        layout: how the file holds the tensors.
        id: name of the ID set that it was trained on.
        model: words of a run that make its network.
        normalisation: constants that it was trained with.
        accuracy: stated ID accuracy in percent, or none.
        accuracy_on: what that was measured on, if not on the whole test set.
        note: what else a user should know.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    file: str
    url: str = ""
    by_hand: str = ""
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{8,64})?$")] = ""
    source: str
    licence: str
    layout: str
    id: str
    model: tuple[str, ...]
    normalisation: Moments
    accuracy: float | None = None
    accuracy_on: str = ""
    note: str = ""

    def origin(self, root: Path) -> str:
        """How to get the file, in a line."""
        if self.url:
            command = shlex.join(["ood-bench", "checkpoints", "fetch", self.name, "--root", str(root)])
            return f"fetch it with: {command}, or add data.download=true"
        return f"get it by hand: {self.by_hand}"

    def fetch(self, root: Path) -> Path:
        """Its file below ``root``, downloaded if it is not there.

        Raises:
            ConfigError: if it has no address.
            DataError: if no byte of it, or another file, comes from there.
        """
        path = root / self.file
        if not path.exists():
            if not self.url:
                raise ConfigError(f"{self.name}: {path} is missing, and no program can fetch it", self.origin(root))
            path.parent.mkdir(parents=True, exist_ok=True)
            download([self.url], path, sha256=self.sha256 or None, setting="--root (or OOD_BENCH_CHECKPOINTS)")
        self.verify(root)
        return path

    def verify(self, root: Path) -> None:
        """Raises :class:`ArtifactError` if the file has another SHA-256 than the registry's."""
        path = root / self.file
        if not (found := sha256_file(path)).startswith(self.sha256):
            raise ArtifactError(
                f"{path} is not {self.name}: its SHA-256 is {found}, not {self.sha256}", "delete it and get it again"
            )

    @property
    def moments(self) -> str:
        """The word of a run that sets its normalisation."""
        both = ", ".join(f"{part}: {list(values)}" for part, values in self.normalisation.model_dump().items())
        return f"id.normalisation={{{both}}}"

    @property
    def words(self) -> str:
        """Words of a run that suit it, beside ``checkpoint=`` and ``id=``, as a shell takes them."""
        return shlex.join([*self.model, self.moments])


@functools.cache
def registered() -> dict[str, Registered]:
    """Every published classifier by its name, in the registry's order."""
    content: Any = OmegaConf.to_container(OmegaConf.load(Path(__file__).with_name("registry.yaml")))
    found = {}
    for family, shared in content["families"].items():
        members = shared.pop("members")
        for member, own in members.items():
            node = {**shared, **own, "name": f"{family}/{member}"}
            if "url" in own:
                node["url"] = shared.get("url", "") + own["url"]
                node.setdefault("file", f"{family}/{PurePosixPath(urlsplit(node['url']).path).name}")
            found[node["name"]] = Registered.model_validate(node)
    return found


@dataclass(frozen=True)
class Found:
    """What ``checkpoint=`` stands for: a file or folder, and the registry's entry if it was named there."""

    path: Path
    entry: Registered | None = None


def resolve(named: Path, *, download_it: bool = False, root: Path | None = None) -> Found:
    """What the value of ``checkpoint=`` stands for: a file of that name, or else a name of the registry.

    Args:
        named: the value.
        download_it: whether to fetch a registered file that is missing.
        root: the folder of checkpoints, if not :func:`~ood_bench.utils.configs.default_checkpoint_root`.

    Raises:
        ConfigError: if there is neither, or the registered file is missing.
        ArtifactError: if the registered file has another SHA-256.
        DataError: if it cannot be fetched.
    """
    root = root or default_checkpoint_root()
    entry = registered().get(named.as_posix())
    if named.exists() or entry is None:
        if entry is not None:
            _log.warning("checkpoint=%s: the file of that name is taken, not the registered network", named)
        return Found(named)
    if download_it:
        return Found(entry.fetch(root), entry)
    if not (root / entry.file).exists():
        raise ConfigError(f"checkpoint={named}: {root / entry.file} is missing", entry.origin(root))
    entry.verify(root)
    return Found(root / entry.file, entry)


def suggestion(named: Path) -> str:
    """What a message says after a name that is neither a file nor registered."""
    return did_you_mean(named.as_posix(), registered())


def remarks(entry: Registered, id_node: Mapping[str, Any]) -> list[str]:
    """What of an ID set does not suit a registered network: its name, its normalisation."""
    found = []
    if id_node["name"] != entry.id:
        found.append(f"it was trained on {entry.id}, the ID set is {id_node['name']}")
    if entry.normalisation.differs(id_node["normalisation"]):
        found.append(f"it was trained with another normalisation than this ID set's: {shlex.quote(entry.moments)}")
    return found
