"""From a config's ``source:`` node to a :class:`Source`, with every unknown or ill-typed key refused at once."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from ood_bench.data.archive import ArchiveSource
from ood_bench.data.cifar import Cifar
from ood_bench.data.embedded import Digits, PhotoPatches
from ood_bench.data.folder import FolderSource
from ood_bench.data.idx import Idx
from ood_bench.data.imglist import Imglist
from ood_bench.data.joined import Joined
from ood_bench.data.mnist import TorchvisionMnist
from ood_bench.data.noise import Noise
from ood_bench.data.npy import NpySource
from ood_bench.data.source import Source
from ood_bench.data.svhn import Svhn
from ood_bench.errors import ConfigError
from ood_bench.utils.build import build
from ood_bench.utils.suggest import did_you_mean

__all__ = ["KINDS", "Source", "build_source", "source_of"]

_CLASSES: tuple[type[Source], ...] = (
    TorchvisionMnist,
    Idx,
    FolderSource,
    ArchiveSource,
    Imglist,
    Joined,
    Cifar,
    Svhn,
    NpySource,
    Noise,
    Digits,
    PhotoPatches,
)
KINDS: dict[str, type[Source]] = {cls.kind: cls for cls in _CLASSES}


def build_source(
    config: Mapping[str, Any], *, name: str = "", variant: str = "", shape: Iterable[int] | None = None
) -> Source:
    """Source that a config's ``source:`` node describes.

    Args:
        config: the node as a plain mapping: ``kind`` and the settings of that kind.
        name: canonical name of the set, used where ``config`` has none of its own.
        variant: how the pixels differ from the release, used where ``config`` does not say it.
        shape: channels, height and width for kinds that make images (noise, patches) and whose node states none.

    Raises:
        ConfigError: if the kind or a key is unknown, or a value has the wrong type.
    """
    settings = {"name": name, "variant": variant, **config}
    kind = settings.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        meant = did_you_mean(str(kind), KINDS)
        known = ", ".join(sorted(KINDS))
        raise ConfigError(f"source of {name or 'a set'}: kind is {kind!r}{meant}", hint=f"known are {known}")
    if not settings["name"]:
        raise ConfigError(f"data config with a source of kind {kind}: no name")
    if shape is not None and any(item.name == "shape" for item in fields(KINDS[kind])):
        settings.setdefault("shape", tuple(shape))
    return build(f"source of {settings['name']} (kind {kind})", KINDS[kind], settings)


def source_of(node: Mapping[str, Any], part: str = "source", *, shape: Iterable[int] | None = None) -> Source:
    """Source of one part of an ``ood`` node (``source``) or of an ``id`` node (``train`` or ``test``).

    Args:
        node: the whole node as a plain mapping, with ``name``, ``variant`` and the part.
        part: key of the source's own node.
        shape: see :func:`build_source`.

    Raises:
        ConfigError: if the part is missing or wrong.
    """
    if not isinstance(node.get(part), Mapping):
        raise ConfigError(f"data config of {node.get('name', 'a set')}: no mapping under {part!r}")
    return build_source(node[part], name=str(node.get("name", "")), variant=str(node.get("variant") or ""), shape=shape)
