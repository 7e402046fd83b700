"""Folders of image files: always listed in a stated order, read once, in one stated size."""

import fnmatch
import hashlib
import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import PIL
from pydantic import Field

from ood_bench.data.decode import Decoding, Mode, Resize, decode_files
from ood_bench.data.imageset import ImageSet
from ood_bench.data.source import Source, not_keyed
from ood_bench.errors import ConfigError, DataError

Order = Literal["path", "natural", "filename"]
EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


def walk(folder: str, prefix: str, deep: bool) -> Iterator[tuple[str, os.stat_result]]:
    """Relative paths (with slashes) and states of the files below ``folder``; hidden ones are left out."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if not entry.is_dir():
                yield prefix + entry.name, entry.stat()
            elif deep:
                yield from walk(entry.path, f"{prefix}{entry.name}/", deep)


def sort_key(path: str, order: Order) -> tuple[Any, ...]:
    """What paths are sorted by: themselves, their numbers as numbers, or their last part alone."""
    if order == "natural":
        return tuple((int(bit), "") if bit.isdigit() else (-1, bit) for bit in re.split(r"(\d+)", path) if bit)
    return (path.rsplit("/", 1)[-1], path) if order == "filename" else (path,)


@dataclass(frozen=True, kw_only=True)
class FolderSource(Source):
    """Image files in one folder, or in one folder for each class.

    Attributes:
        path: the folder in the data root.
        layout: ``"flat"`` (files lie in the folder, no labels), ``"tree"`` (at any depth, no labels) or ``"classes"``
            (in sub-folders, however deep; labels count the sorted names of the first level).
        order: ``"path"`` (sorted as text), ``"natural"`` (numbers as numbers), ``"filename"`` (by the file's own name
            across classes, which restores the official order where names are row numbers).
        include: pattern that a file's path below the folder must match, as in ``"train_*"``; none for all.
        rows: first row kept and row to stop before, after sorting; none for all.
        sample: number of images drawn from the sorted ones without replacement, in the order drawn; none for all.
        sample_seed: seed of Python's generator that draws them.
        mode: ``"RGB"`` or ``"L"``.
        resize: see :class:`ood_bench.data.decode.Decoding`.
        size: side, or height and width, after resizing.
        crop_seed: seed of random crops.
        count: number of images that there must be (before ``rows``), or none.
        by_hand: where to get the folder.
    """

    kind: ClassVar[str] = "folder"
    path: str
    layout: Literal["flat", "tree", "classes"]
    order: Order = "path"
    include: str | None = None
    rows: tuple[int, int] | None = None
    sample: Annotated[int, Field(gt=0)] | None = None
    sample_seed: int = 0
    mode: Mode = "RGB"
    resize: Resize = "none"
    size: Annotated[int, Field(gt=0)] | tuple[int, int] | None = None
    crop_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    count: int | None = not_keyed(None)
    by_hand: str = not_keyed("see the config's comments")

    def __post_init__(self) -> None:
        if (self.size is None) != (self.resize == "none"):
            raise ConfigError(f"{self.name}: resize {self.resize} with size {self.size}: set both, or neither")
        if self.rows is not None and not 0 <= self.rows[0] < self.rows[1]:
            raise ConfigError(f"{self.name}: rows {list(self.rows)} are not [first, stop] with first < stop")
        if self.rows is not None and self.sample is not None:
            raise ConfigError(f"{self.name}: rows and sample cannot be set together")

    @property
    def full_variant(self) -> str:
        """The variant, the resize policy with its filter, and the rows."""
        kept = "" if self.rows is None else f"rows {self.rows[0]:,} to {self.rows[1] - 1:,}"
        if self.sample is not None:
            kept = f"{self.sample:,} drawn with Python's seed {self.sample_seed}"
        return "; ".join(part for part in (self.variant, str(self._decoding), kept) if part)

    def parameters(self) -> dict[str, Any]:
        """The decoder's version counts as well."""
        drawn = {} if self.sample is None else {"sample": self.sample, "sample_seed": self.sample_seed}
        others = {key: value for key, value in super().parameters().items() if not key.startswith("sample")}
        return {**others, **drawn, "pillow": PIL.__version__}

    def lacking(self, root: Path) -> str | None:
        return None if (root / self.path).is_dir() else f"folder {root / self.path} is missing"

    def origin(self) -> str:
        return self.by_hand

    def stamps(self, root: Path) -> Any:
        """Count of the files, and SHA-256 over the sorted list of their paths, sizes and times of change."""
        states = self._files(root / self.path)
        digest = hashlib.sha256()
        for path in sorted(states):
            digest.update(f"{path}\0{states[path].st_size}\0{states[path].st_mtime_ns}\n".encode())
        return {"count": len(states), "sha256": digest.hexdigest()}

    def read(self, root: Path) -> ImageSet:
        if (message := self.missing(root)) is not None:
            raise DataError(message)
        return self.read_folder(root / self.path)

    def read_folder(self, folder: Path) -> ImageSet:
        """The set, from a folder that lies anywhere."""
        paths = self._rows(folder)
        images = decode_files([folder / path for path in paths], self._decoding, self.name)
        if self.layout != "classes":
            return ImageSet.of(self.name, images, variant=self.full_variant)
        owners = [path.split("/", 1)[0] for path in paths]
        names = sorted(set(owners))
        number = {owner: label for label, owner in enumerate(names)}
        labels = [number[owner] for owner in owners]
        return ImageSet.of(self.name, images, labels, variant=self.full_variant, class_names=names)

    @property
    def _decoding(self) -> Decoding:
        size = (self.size, self.size) if isinstance(self.size, int) else self.size
        return Decoding(self.mode, self.resize, size, self.crop_seed)

    def _files(self, folder: Path) -> dict[str, os.stat_result]:
        """State of every file that may be part of the set, by relative path, in the file system's order.

        Raises:
            DataError: if there is none, or another number than ``count`` asks for.
        """
        found = {
            path: status
            for path, status in walk(str(folder), "", deep=self.layout != "flat")
            if path.lower().endswith(EXTENSIONS)
            and (self.layout != "classes" or "/" in path)
            and (self.include is None or fnmatch.fnmatchcase(path, self.include))
        }
        if not found:
            asked = f" that match {self.include!r}" if self.include else ""
            where = {"flat": "directly in", "tree": "under", "classes": "in sub-folders of"}[self.layout]
            raise DataError(f"{self.name}: no image files{asked} {where} {folder} ({', '.join(EXTENSIONS)})")
        if self.count is not None and len(found) != self.count:
            raise DataError(f"{self.name}: {folder} holds {len(found)} images, not {self.count}: incomplete?")
        return found

    def _rows(self, folder: Path) -> list[str]:
        """Relative paths of the set's files in its order.

        Raises:
            DataError: as :meth:`_files`, or if ``rows`` or ``sample`` ask for more.
        """
        paths = sorted(self._files(folder), key=lambda path: sort_key(path, self.order))
        if self.sample is not None:
            if len(paths) < self.sample:
                raise DataError(
                    f"{self.name}: a sample of {self.sample} from {folder}, which holds {len(paths)} images"
                )
            return random.Random(self.sample_seed).sample(paths, self.sample)  # noqa: S311 - no secret
        if self.rows is None:
            return paths
        if len(paths) < self.rows[1]:
            raise DataError(f"{self.name}: rows {list(self.rows)} of {folder}, which holds {len(paths)} images")
        return paths[self.rows[0] : self.rows[1]]
