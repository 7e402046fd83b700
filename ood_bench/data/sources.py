"""From a config's ``source:`` node to a :class:`Source`, with every unknown or ill-typed key refused at once."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import pydantic

from ood_bench.data.archive import ArchiveSource
from ood_bench.data.cifar import Cifar
from ood_bench.data.embedded import Digits, PhotoPatches
from ood_bench.data.folder import FolderSource
from ood_bench.data.idx import Idx
from ood_bench.data.mnist import TorchvisionMnist
from ood_bench.data.noise import Noise
from ood_bench.data.npy import NpySource
from ood_bench.data.source import Source
from ood_bench.data.svhn import Svhn
from ood_bench.errors import ConfigError

__all__ = ["KINDS", "Source", "build_source", "source_of"]

_CLASSES: tuple[type[Source], ...] = (
    TorchvisionMnist,
    Idx,
    FolderSource,
    ArchiveSource,
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
    settings = {str(key): value for key, value in config.items()}
    kind = settings.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise ConfigError(f"source of {name or 'a set'}: kind is {kind!r}{_meant(str(kind), KINDS)}")
    cls = KINDS[kind]
    known = [item.name for item in fields(cls) if item.init]
    settings.setdefault("name", name)
    settings.setdefault("variant", variant)
    if not settings["name"]:
        raise ConfigError(f"data config with a source of kind {kind}: no name")
    if shape is not None and "shape" in known:
        settings.setdefault("shape", tuple(shape))
    for key in settings:
        if key not in known:
            raise ConfigError(f"source of {settings['name']}: kind {kind} has no key {key!r}{_meant(key, known)}")
    try:
        return pydantic.TypeAdapter(cls).validate_python(settings)
    except pydantic.ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ConfigError(f"source of {settings['name']} (kind {kind}): {faults}") from error


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


def _meant(word: str, known: Iterable[str]) -> str:
    """The part of a message that names the nearest known word, and all of them."""
    options = sorted(known)
    near = difflib.get_close_matches(word, options, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"{hint}; known: {', '.join(options)}"
