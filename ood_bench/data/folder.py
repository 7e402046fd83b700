"""Folders of image files: always listed in a stated order, read once, in one stated size."""

import fnmatch
import hashlib
import logging
import os
import random
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import PIL
from pydantic import Field

from ood_bench.data.decode import Decoding, Mode, OnDamage, Resize, decode_files
from ood_bench.data.imageset import ImageSet
from ood_bench.data.source import Source, not_keyed
from ood_bench.data.split import Part, part_of
from ood_bench.data.stream import StreamedImages, streamed
from ood_bench.data.walk import EXTENSIONS, walk
from ood_bench.errors import ConfigError, DataError
from ood_bench.utils.printable import printable

Order = Literal["path", "natural", "filename"]

_log = logging.getLogger(__name__)
_MOST_KINDS = 8


def sort_key(path: str, order: Order) -> tuple[Any, ...]:
    """What paths are sorted by: themselves, their numbers as numbers, or their last part alone."""
    if order == "natural":
        bits = (bit for bit in re.split(r"(\d+)", path) if bit)
        return tuple((int(bit), "") if bit.isdecimal() else (-1, bit) for bit in bits), path
    return (path.rsplit("/", 1)[-1], path) if order == "filename" else (path,)


def _owner(path: str) -> str:
    """Name of the class folder that a file lies in."""
    return path.split("/", 1)[0]


@dataclass(frozen=True)
class _Listing:
    """What a folder holds for a set.

    Attributes:
        files: state of every image that may be part of the set, by relative path, in the file system's order.
        classes: names of the class folders in the order of the labels; empty where there are no labels.
        others: how many files of other kinds there are, by the ending of their names.
    """

    files: dict[str, os.stat_result]
    classes: list[str]
    others: Counter[str]


@dataclass(frozen=True, kw_only=True)
class FolderSource(Source):
    """Image files in one folder, or in one folder for each class.

    Attributes:
        path: the folder in the data root.
        layout: ``"flat"`` (files lie in the folder, no labels), ``"tree"`` (at any depth, no labels) or ``"classes"``
            (in sub-folders, however deep; labels count the sorted names of the first level that hold images, also where
            ``include``, ``rows`` or ``sample`` take none of them).
        order: ``"path"`` (sorted as text), ``"natural"`` (numbers as numbers), ``"filename"`` (by the file's own name
            across classes, which restores the official order where names are row numbers).
        class_order: how the names of the class folders are sorted, and with them the labels: ``"path"`` (as text) or
            ``"natural"`` (10 after 2, as the outputs of published networks for numbered classes).
        include: pattern that a file's path below the folder must match, as in ``"train_*"``; none for all. With layout
            ``"classes"`` its part before a slash chooses classes, as in ``"n02*/*"``.
        split: which part of the folder: ``"train"`` or ``"test"`` of each class, or ``"all"``; see
            :func:`~ood_bench.data.split.part_of`.
        test_fraction: share of each class (with other layouts: of the folder) that is for testing.
        split_seed: seed that draws it.
        rows: first row kept and row to stop before, after sorting; none for all.
        sample: number of images drawn from the sorted ones without replacement, in the order drawn; none for all.
        sample_seed: seed of Python's generator that draws them.
        mode: ``"RGB"`` or ``"L"``.
        resize: see :class:`ood_bench.data.decode.Decoding`.
        size: side, or height and width, after resizing.
        crop_seed: seed of random crops.
        on_damage: ``"skip"`` leaves out files that are no whole pictures; the variant says how many.
        count: number of images that there must be (before ``rows``), or none.
        by_hand: where to get the folder.
    """

    kind: ClassVar[str] = "folder"
    path: str
    layout: Literal["flat", "tree", "classes"]
    order: Order = "path"
    class_order: Literal["path", "natural"] = "path"
    include: str | None = None
    split: Part = "all"
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    split_seed: int = 0
    rows: tuple[int, int] | None = None
    sample: Annotated[int, Field(gt=0)] | None = None
    sample_seed: int = 0
    mode: Mode = "RGB"
    resize: Resize = "none"
    size: Annotated[int, Field(gt=0)] | tuple[int, int] | None = None
    crop_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    on_damage: OnDamage = "refuse"
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
        share = f"{100 * self.test_fraction:g} % for testing, seed {self.split_seed}"
        split = "" if self.split == "all" else f"{self.split} part, {share}"
        return "; ".join(part for part in (self.variant, str(self._decoding), split, kept) if part)

    def parameters(self) -> dict[str, Any]:
        """The decoder's version counts as well; settings that came later count where they are set."""
        found = {**super().parameters(), "pillow": PIL.__version__}
        if self.sample is None:
            del found["sample"], found["sample_seed"]
        if self.on_damage == "refuse":
            del found["on_damage"]
        if self.split == "all":
            del found["split"], found["test_fraction"], found["split_seed"]
        if self.class_order == "path":
            del found["class_order"]
        if self.layout == "classes" and (self.split != "all" or self.rows is not None or self.sample is not None):
            found["labels"] = "of all class folders"
        return found

    @property
    def channels(self) -> int:
        return 1 if self.mode == "L" else 3

    def lacking(self, root: Path) -> str | None:
        return None if (root / self.path).is_dir() else f"folder {root / self.path} is missing"

    def origin(self) -> str:
        return self.by_hand

    def stamps(self, root: Path) -> Any:
        """Count of the files, and SHA-256 over the sorted list of their paths, sizes and times of change.

        Classes of which no file is part of the set are listed too, since they move the labels.
        """
        listing = self._listing(root / self.path)
        digest = hashlib.sha256()
        for path in sorted(listing.files):
            state = listing.files[path]
            digest.update(os.fsencode(f"{path}\0{state.st_size}\0{state.st_mtime_ns}\n"))
        found: dict[str, Any] = {"count": len(listing.files), "sha256": digest.hexdigest()}
        if unused := set(listing.classes) - {_owner(path) for path in listing.files}:
            found["unused_classes"] = [printable(name) for name in sorted(unused)]
        return found

    def read(self, root: Path) -> ImageSet:
        if (message := self.missing(root)) is not None:
            raise DataError(message)
        return self.read_folder(root / self.path)

    def stream(self, root: Path) -> ImageSet | None:
        identity = self.identity(root)
        files, labels, classes = self._contents(root / self.path)
        images = StreamedImages(files, self._decoding, self.name)
        return streamed(self.name, images, labels, identity, variant=self.full_variant, class_names=classes)

    def read_folder(self, folder: Path) -> ImageSet:
        """The set, from a folder that lies anywhere."""
        files, labels, classes = self._contents(folder)
        images, rows = decode_files(files, self._decoding, self.name, self.on_damage)
        return ImageSet.of(
            self.name,
            images,
            None if labels is None else [labels[row] for row in rows],
            variant=self.full_variant,
            class_names=classes,
            left_out=len(files) - len(rows),
        )

    def _contents(self, folder: Path) -> tuple[list[Path], list[int] | None, list[str]]:
        """The set's files in its order, their labels if it has any, and the names of its classes."""
        listing = self._listing(folder)
        if listing.others:
            kinds = sorted(listing.others.items())[:_MOST_KINDS]
            shown = ", ".join(f"{kind} {count}" for kind, count in kinds)
            _log.info("%s: %d files of other kinds left out (%s)", self.name, listing.others.total(), shown)
        paths = self._rows(folder, list(listing.files))
        files = [folder / path for path in paths]
        if self.layout != "classes":
            return files, None, []
        number = {owner: label for label, owner in enumerate(listing.classes)}
        return files, [number[_owner(path)] for path in paths], listing.classes

    @property
    def _decoding(self) -> Decoding:
        size = (self.size, self.size) if isinstance(self.size, int) else self.size
        return Decoding(self.mode, self.resize, size, self.crop_seed)

    def _listing(self, folder: Path) -> "_Listing":
        """What the folder holds.

        Raises:
            DataError: if there is no image of the set, or another number than ``count`` asks for, or as :func:`walk`.
        """
        files: dict[str, os.stat_result] = {}
        classes: set[str] = set()
        others: Counter[str] = Counter()
        for path, state in walk(str(folder), "", deep=self.layout != "flat"):
            if state is None:
                others[Path(path).suffix.lower() or "none"] += 1
            elif self.layout != "classes" or "/" in path:
                if part := self.include is None or fnmatch.fnmatchcase(path, self.include):
                    files[path] = state
                if self.layout == "classes" and (part or self._takes_class(_owner(path))):
                    classes.add(_owner(path))
        if not files:
            raise self._nothing_in(folder)
        if self.count is not None and len(files) != self.count:
            raise DataError(f"{self.name}: {folder} holds {len(files)} images, not {self.count}: incomplete?")
        return _Listing(files, sorted(classes, key=lambda name: sort_key(name, self.class_order)), others)

    def _takes_class(self, name: str) -> bool:
        """Whether ``include`` can match files of a class folder; one without a slash says nothing of classes."""
        head, slash, _ = (self.include or "").partition("/")
        return not slash or fnmatch.fnmatchcase(name, head)

    def _nothing_in(self, folder: Path) -> DataError:
        asked = f" that match {self.include!r}" if self.include else ""
        where = {"flat": "directly in", "tree": "under", "classes": "in sub-folders of"}[self.layout]
        inner = sorted(item.name for item in folder.iterdir() if item.is_dir() and item.name[0] != ".")
        hint = ""
        if self.layout == "flat" and inner:
            hint = f"it holds the folder {inner[0]}: set source.path to it, or source.layout to tree"
        return DataError(f"{self.name}: no image files{asked} {where} {folder} ({', '.join(EXTENSIONS)})", hint)

    def _rows(self, folder: Path, files: list[str]) -> list[str]:
        """Relative paths of the set's images in its order.

        Raises:
            DataError: if ``rows`` or ``sample`` ask for more than there are.
        """
        paths = sorted(files, key=lambda path: sort_key(path, self.order))
        owner = _owner if self.layout == "classes" else lambda _: ""
        paths = part_of(paths, self.split, self.test_fraction, self.split_seed, owner)
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
