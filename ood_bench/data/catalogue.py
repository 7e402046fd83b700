"""Every image set that the shipped configs name, and whether it is there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from omegaconf import OmegaConf

from ood_bench.data.source import Source
from ood_bench.data.sources import source_of
from ood_bench.errors import ConfigError
from ood_bench.utils.configs import conf_dir
from ood_bench.utils.suggest import did_you_mean

# Stands in for the ID set that noise and patches take their shape from.
_STAND_IN = {"shape": [3, 32, 32]}
_PARTS = {"id": ("train", "test"), "ood": ("source",)}
_OPTIONAL = ("validation", "validation_ood")


@dataclass(frozen=True)
class Entry:
    """One split of one shipped data config.

    Attributes:
        group: ``"id"`` or ``"ood"``.
        key: name of the config file, which the command line selects by.
        part: key of the source's node: ``"train"``, ``"test"`` or ``"source"``; ``"validation"`` where there is one.
        licence: licence of the images, as far as it is known.
        note: what else a reader should know.
        source: where the images come from.
    """

    group: Literal["id", "ood"]
    key: str
    part: str
    licence: str
    note: str
    source: Source

    @property
    def label(self) -> str:
        """Group and key, with the part if there are several: ``"id=mnist train"``."""
        return f"{self.group}={self.key}" + (f" {self.part}" if self.group == "id" else "")


def load_node(path: Path) -> dict[str, Any]:
    """One data config as a plain mapping, with the shape of a 32 by 32 RGB set where it asks for the ID set's."""
    try:
        whole = OmegaConf.create({"id": _STAND_IN, "node": OmegaConf.load(path)})
        plain = OmegaConf.to_container(whole, resolve=True)
    except Exception as error:  # YAML and OmegaConf each raise a dozen kinds
        raise ConfigError(f"{path}: {error}") from error
    node = plain["node"] if isinstance(plain, dict) else None
    if not isinstance(node, dict):
        raise ConfigError(f"{path}: not a mapping")
    return {str(key): value for key, value in node.items()}


def entries() -> list[Entry]:
    """Every split of every config under ``conf/id`` and ``conf/ood``, in alphabetical order."""
    found: list[Entry] = []
    groups: tuple[Literal["id", "ood"], ...] = ("id", "ood")
    for group in groups:
        for path in sorted((conf_dir() / group).glob("*.yaml")):
            node = load_node(path)
            licence, note = str(node.get("licence", "")), str(node.get("note", ""))
            parts = [*_PARTS[group], *(part for part in _OPTIONAL if part in node)]
            found += [Entry(group, path.stem, part, licence, note, source_of(node, part)) for part in parts]
    return found


def select(known: Iterable[Entry], names: Sequence[str]) -> list[Entry]:
    """The entries whose key is among ``names``; all of them if there are no names.

    Raises:
        ConfigError: if a name is no key.
    """
    every = list(known)
    keys = sorted({entry.key for entry in every})
    for name in names:
        if name not in keys:
            raise ConfigError(f"no image set is called {name!r}{did_you_mean(name, keys)}; known: {', '.join(keys)}")
    return [entry for entry in every if not names or entry.key in names]


def licences() -> dict[str, dict[str, str]]:
    """Licence of the images by name and variant of the set, as the shipped configs state them."""
    found: dict[str, dict[str, str]] = {}
    for group in ("id", "ood"):
        for path in sorted((conf_dir() / group).glob("*.yaml")):
            node = load_node(path)
            train = node.get("train")
            variants = {node.get("variant", ""), train.get("variant", "") if isinstance(train, dict) else ""}
            for variant in variants:
                found.setdefault(str(node.get("name")), {})[str(variant)] = str(node.get("licence", ""))
    return found
