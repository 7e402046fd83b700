"""Image files that a list of your own names, with their labels: a text file of paths."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import PIL
from pydantic import Field

from ood_bench.data.decode import Decoding, Mode, OnDamage, Resize, decode_files
from ood_bench.data.imageset import ImageSet
from ood_bench.data.source import Source, not_keyed
from ood_bench.data.stream import StreamedImages, streamed
from ood_bench.errors import ConfigError, DataError

_MOST_DIGITS = 9  # of a label


@dataclass(frozen=True, kw_only=True)
class ListSource(Source):
    """Image files in the order of a text file, which has a path in each line, or a path and a label.

    A label is a whole number from 0 after the last blank or comma of its line; a list has one in every line, or in
    none. Empty lines and lines that begin with ``#`` are passed over.

    Attributes:
        path: the list, in the data root.
        folder: what its paths begin in, in the data root; by default the folder that the list lies in.
        labelled: whether each line ends in a label.
        mode: ``"RGB"`` or ``"L"``.
        resize: see :class:`ood_bench.data.decode.Decoding`.
        size: side, or height and width, after resizing.
        crop_seed: seed of random crops.
        on_damage: ``"skip"`` leaves out files that are no whole pictures; the variant says how many.
        by_hand: where to get the files.
    """

    kind: ClassVar[str] = "list"
    path: str
    labelled: bool
    folder: str | None = None
    mode: Mode = "RGB"
    resize: Resize = "none"
    size: Annotated[int, Field(gt=0)] | tuple[int, int] | None = None
    crop_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    on_damage: OnDamage = "refuse"
    by_hand: str = not_keyed("see the config's comments")

    def __post_init__(self) -> None:
        if (self.size is None) != (self.resize == "none"):
            raise ConfigError(f"{self.name}: resize {self.resize} with size {self.size}: set both, or neither")

    @property
    def full_variant(self) -> str:
        """The variant, and the resize policy with its filter."""
        return "; ".join(part for part in (self.variant, str(self._decoding)) if part)

    def parameters(self) -> dict[str, Any]:
        """The decoder's version counts as well."""
        found = {**super().parameters(), "pillow": PIL.__version__}
        if self.on_damage == "refuse":
            del found["on_damage"]
        return found

    @property
    def channels(self) -> int:
        return 1 if self.mode == "L" else 3

    def lacking(self, root: Path) -> str | None:
        if not (root / self.path).is_file():
            return f"list {root / self.path} is missing"
        missing = [path for path in self.inputs(root) if not path.is_file()]
        shown = ", ".join(map(str, missing[:3])) + (", ..." if len(missing) > 3 else "")
        return f"{len(missing):,} files of the list {root / self.path} are missing: {shown}" if missing else None

    def origin(self) -> str:
        return self.by_hand

    def inputs(self, root: Path) -> list[Path]:
        return [path for path, _ in self._lines(root)]

    def stamps(self, root: Path) -> Any:
        """Count of the files, and SHA-256 over their labels, paths, sizes and times of change, in order."""
        digest, lines = hashlib.sha256(), self._lines(root)
        for path, label in lines:
            state = path.stat()
            relative = os.path.relpath(path, root)
            digest.update(os.fsencode(f"{label}\0{relative}\0{state.st_size}\0{state.st_mtime_ns}\n"))
        return {"count": len(lines), "sha256": digest.hexdigest()}

    def read(self, root: Path) -> ImageSet:
        self.identity(root)
        files, labels = self.inputs(root), self._labels(root)
        images, rows = decode_files(files, self._decoding, self.name, self.on_damage)
        labels = None if labels is None else [labels[row] for row in rows]
        left_out = len(files) - len(rows)
        return ImageSet.of(self.name, images, labels, variant=self.full_variant, left_out=left_out)

    def stream(self, root: Path) -> ImageSet | None:
        identity = self.identity(root)
        images = StreamedImages(self.inputs(root), self._decoding, self.name)
        return streamed(self.name, images, self._labels(root), identity, variant=self.full_variant)

    def _labels(self, root: Path) -> list[int] | None:
        return [label for _, label in self._lines(root)] if self.labelled else None

    def _lines(self, root: Path) -> list[tuple[Path, int]]:
        """Files and labels, -1 where there are none.

        Raises:
            DataError: if the list is empty or no text, or a line has no label where one is needed.
        """
        place = root / self.path
        try:
            lines = [line.strip() for line in place.read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{self.name}: {place} cannot be read as text: {error}") from error
        folder = place.parent if self.folder is None else root / self.folder
        found = [self._line(folder, line) for line in lines if line and not line.startswith("#")]
        if not found:
            raise DataError(f"{self.name}: {place} names no file", "write a path in each line")
        return found

    def _line(self, folder: Path, line: str) -> tuple[Path, int]:
        if not self.labelled:
            return folder / line, -1
        at = max(line.rfind(","), line.rfind(" "), line.rfind("\t"))
        name, label = line[:at].rstrip(" ,\t"), line[at + 1 :]
        if not name or not label.isdecimal() or len(label) > _MOST_DIGITS:
            raise DataError(
                f"{self.name}: {self.path}: no path with a label: {line[:80]!r}",
                "write PATH LABEL in each line, labels counted from 0, or set labelled: false",
            )
        return folder / name, int(label)

    @property
    def _decoding(self) -> Decoding:
        size = (self.size, self.size) if isinstance(self.size, int) else self.size
        return Decoding(self.mode, self.resize, size, self.crop_seed)
