"""Several sources one after the other as one set, such as OpenOOD's full-spectrum test images."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from ood_bench.data.imageset import ImageSet, Labels
from ood_bench.data.source import Source
from ood_bench.data.stream import StreamedImages, stream_of, streamed
from ood_bench.errors import DataError


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
        from ood_bench.data.sources import build_source  # noqa: PLC0415 - which lists this class

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
