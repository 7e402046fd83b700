"""From a config's ``source:`` node to a :class:`Source`, unknown and ill-typed keys refused; several joined to one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from ood_bench.data.archive import ArchiveSource
from ood_bench.data.cifar import Cifar
from ood_bench.data.embedded import Digits, PhotoPatches
from ood_bench.data.filelist import ListSource
from ood_bench.data.folder import FolderSource
from ood_bench.data.idx import Idx
from ood_bench.data.imageset import ImageSet, Labels
from ood_bench.data.imglist import Imglist
from ood_bench.data.mnist import TorchvisionMnist
from ood_bench.data.noise import Noise
from ood_bench.data.npy import NpySource
from ood_bench.data.source import Source
from ood_bench.data.stream import StreamedImages, stream_of, streamed
from ood_bench.data.svhn import Svhn
from ood_bench.errors import ConfigError, DataError
from ood_bench.utils.build import build
from ood_bench.utils.suggest import did_you_mean

__all__ = ["KINDS", "Source", "build_source", "source_of"]


@dataclass(frozen=True, kw_only=True)
class Joined(Source):
    """The images of several sources, of one size, in their order; labels if each has some.

    Attributes:
        parts: a node of each source, as in a config's ``source:``, by a name for the command line
            (``id.test.parts.v2.sha256=null``).
    """

    kind: ClassVar[str] = "joined"
    parts: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]

    @cached_property
    def sources(self) -> Sequence[Source]:
        """The parts, with the name and the variant of the whole."""
        return [build_source(part, name=self.name, variant=self.variant) for part in self.parts.values()]

    @property
    def full_variant(self) -> str:
        """The variants of the parts, each once."""
        return " + ".join(dict.fromkeys(filter(None, (one.full_variant for one in self.sources))))

    def parameters(self) -> dict[str, Any]:
        return {"parts": [[one.kind, one.reader, one.parameters()] for one in self.sources]}

    def lacking(self, root: Path) -> str | None:
        return "; ".join(filter(None, (one.lacking(root) for one in self.sources))) or None

    def origin(self) -> str:
        return "; ".join(dict.fromkeys(one.origin() for one in self.sources))

    def stamps(self, root: Path) -> Any:
        return [one.stamps(root) for one in self.sources]

    @property
    def fetchable(self) -> bool:
        return all(one.fetchable for one in self.sources)

    def fetch(self, root: Path) -> None:
        for one in self.sources:
            one.fetch(root)

    def stream(self, root: Path) -> ImageSet | None:
        """A streamed set if every part is one."""
        identity = self.identity(root)
        sets = [part for one in self.sources if (part := one.stream(root)) is not None]
        streams = [stream for part in sets if (stream := stream_of(part)) is not None]
        if len(streams) < len(self.sources):
            return None
        images = StreamedImages.joined(streams, self.name)
        return streamed(self.name, images, self._labels(sets), identity, variant=self.full_variant)

    def read(self, root: Path) -> ImageSet:
        self.identity(root)
        sets = [one.read(root) for one in self.sources]
        labels = self._labels(sets)
        return ImageSet.of(self.name, np.concatenate([one.images for one in sets]), labels, variant=self.full_variant)

    def _labels(self, sets: Sequence[ImageSet]) -> Labels | None:
        """The labels of sets of one size; none if one has none.

        Raises:
            DataError: if their images differ in size.
        """
        if len(shapes := {"x".join(map(str, one.shape)) for one in sets}) > 1:
            raise DataError(f"{self.name}: its parts have images of {' and '.join(sorted(shapes))}", "set one size")
        labels = [one.labels for one in sets if one.labels is not None]
        return np.concatenate(labels) if len(labels) == len(sets) else None


_CLASSES: tuple[type[Source], ...] = (
    TorchvisionMnist,
    Idx,
    FolderSource,
    ArchiveSource,
    Imglist,
    ListSource,
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
        meant = did_you_mean(kind, KINDS) if isinstance(kind, str) else ""
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
