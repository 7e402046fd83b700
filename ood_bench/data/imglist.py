"""OpenOOD's image lists: text files that name pictures and labels, beside the folders that hold the pictures.

Layout and preprocessing: OpenOOD v1.5 (arXiv 2306.09301), ``openood/datasets/imglist_dataset.py`` and
``openood/evaluation_api/{datasets,preprocessor}.py`` of github.com/Jingkang50/OpenOOD (MIT).
"""

import hashlib
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, Literal

import PIL
from pydantic import Field

from ood_bench.data.decode import Decoding, OnDamage, decode_files
from ood_bench.data.imageset import ImageSet
from ood_bench.data.source import Source, not_keyed
from ood_bench.data.stream import StreamedImages, streamed
from ood_bench.errors import ConfigError, DataError

_log = logging.getLogger(__name__)
_LISTS = "benchmark_imglist"
_OWN_SIZES = ((32, 32, "bilinear"), (224, 256, "bilinear"), (224, 232, "bicubic"), (None, None, "bilinear"))
"""Crop, short side and filter with which OpenOOD reads its CIFAR sets, its ImageNet sets (for Swin-T: the third), and
ImageNet-C; those of torchvision's networks are their weights' ``transforms()``, in ``scripts/eval_ood_imagenet.py``."""
_BY_HAND = (
    "OpenOOD's scripts/download/download.sh (github.com/Jingkang50/OpenOOD) makes its folder data with "
    "benchmark_imglist and images_classic or images_largescale; let the data root be that folder or the one above"
)


@dataclass(frozen=True)
class ListedPicture:
    """One line of a list: a path below the folder of pictures, and a label, -1 for OOD."""

    path: str
    label: int


def list_sum(lines: Iterable[str]) -> str:
    """SHA-256 over a list's lines, sorted and without the blanks at their ends, as 64 hex digits."""
    return hashlib.sha256("".join(f"{line}\n" for line in sorted(line.rstrip() for line in lines)).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Imglist(Source):
    """Pictures and labels that a list of OpenOOD names, in its order, with those that it names twice.

    Pixels are OpenOOD's: converted to RGB, the short side resized, the centre cut out.

    Attributes:
        path: the list's path below ``benchmark_imglist``, such as ``"cifar10/test_svhn.txt"``. That folder lies in the
            data root or in its folder ``data``.
        folder: the folder beside it that the list's paths begin in.
        sha256: :func:`list_sum` of the list; ``"unknown"`` where no copy of it could be looked at; none to take another
            list, which the variant says then.
        count: number of lines that there must be, or none.
        size: side of the centre crop, or none to leave pictures as they are.
        short_side: length to which the short side is resized before; by default ``size``.
        interpolation: PIL's filter for that.
        on_damage: ``"skip"`` leaves out files that are no whole pictures; the variant says how many.
        by_hand: where to get the folders.
    """

    kind: ClassVar[str] = "imglist"
    path: str
    folder: Literal["images_classic", "images_largescale"] = "images_classic"
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64}|unknown)$")] | None = not_keyed(None)
    count: Annotated[int, Field(gt=0)] | None = not_keyed(None)
    size: Annotated[int, Field(gt=0)] | None = None
    short_side: Annotated[int, Field(gt=0)] | None = None
    interpolation: Literal["bilinear", "bicubic"] = not_keyed("bilinear")
    on_damage: OnDamage = "refuse"
    by_hand: str = not_keyed(_BY_HAND)

    def __post_init__(self) -> None:
        if self.short_side is not None and (self.size is None or self.short_side < self.size):
            raise ConfigError(f"{self.name}: short_side={self.short_side} needs a size up to it, not {self.size}")

    @property
    def full_variant(self) -> str:
        """The variant, with what is not as OpenOOD has it: another list, another size."""
        how = self._decoding
        another = "list not verified" if self.sha256 is None else ""
        resized = "" if (self.size, how.short_side, how.interpolation) in _OWN_SIZES else str(how)
        return "; ".join(part for part in (self.variant, another, resized) if part)

    def parameters(self) -> dict[str, Any]:
        """The decoder's version counts as well, and the filter where it is not bilinear."""
        other = {} if self.interpolation == "bilinear" else {"interpolation": self.interpolation}
        found = {**super().parameters(), **other, "pillow": PIL.__version__}
        if self.on_damage == "refuse":
            del found["on_damage"]
        return found

    def lacking(self, root: Path) -> str | None:
        """Which list or pictures are missing; what else is wrong with the list, reading it says."""
        path = self._list(root)
        if not path.is_file():
            return f"list {path} is missing"
        try:
            listed = self.pictures(root)
        except DataError:
            return None
        folder = self._folder(root)
        missing = [one.path for one in listed if not os.path.isfile(f"{folder}/{one.path}")]
        if not missing:
            return None
        shown = ", ".join(dict.fromkeys(missing[:3])) + (", ..." if len(missing) > 3 else "")
        return f"{len(missing):,} of {len(listed):,} pictures that {path} lists are not in {folder} ({shown})"

    def origin(self) -> str:
        return self.by_hand

    def inputs(self, root: Path) -> list[Path]:
        folder = self._folder(root)
        return [folder / one.path for one in self.pictures(root)]

    def stamps(self, root: Path) -> Any:
        """Count of the pictures, and SHA-256 over their labels, paths, sizes and times of change, in order."""
        digest, folder, listed = hashlib.sha256(), self._folder(root), self.pictures(root)
        for one in listed:
            state = os.stat(f"{folder}/{one.path}")
            digest.update(os.fsencode(f"{one.label}\0{one.path}\0{state.st_size}\0{state.st_mtime_ns}\n"))
        return {"count": len(listed), "sha256": digest.hexdigest()}

    def pictures(self, root: Path) -> list[ListedPicture]:
        """What the list names.

        Raises:
            DataError: if the list cannot be read, is not the one that is expected, or a line of it is ill-formed.
        """
        path = self._list(root)
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{self.name}: {path} cannot be read as text: {error}", "get it again") from error
        lines = [line.rstrip() for line in lines if line.strip()]
        self._check(path, lines)
        return [self._parsed(path, number, line) for number, line in enumerate(lines, 1)]

    def read(self, root: Path) -> ImageSet:
        self.identity(root)
        files, labels = self.inputs(root), self._labels(root)
        images, rows = decode_files(files, self._decoding, self.name, self.on_damage)
        left_out = len(files) - len(rows)
        kept = [labels[row] for row in rows]
        return ImageSet.of(self.name, images, kept, variant=self.full_variant, left_out=left_out)

    def stream(self, root: Path) -> ImageSet | None:
        identity = self.identity(root)
        images = StreamedImages(self.inputs(root), self._decoding, self.name)
        return streamed(self.name, images, self._labels(root), identity, variant=self.full_variant)

    def _labels(self, root: Path) -> list[int]:
        return [one.label for one in self.pictures(root)]

    def _check(self, path: Path, lines: list[str]) -> None:
        if not lines:
            raise DataError(f"{self.name}: {path} is empty", "get it again")
        if self.count is not None and len(lines) != self.count:
            raise DataError(f"{self.name}: {path} lists {len(lines):,} pictures, not {self.count:,}", _ANOTHER)
        found = list_sum(lines)
        if self.sha256 == "unknown":
            _log.info("%s: the SHA-256 of %s is not known; this one's is %s", self.name, path, found)
        elif self.sha256 is not None and found != self.sha256:
            raise DataError(f"{self.name}: {path} is another list: SHA-256 {found}, not {self.sha256}", _ANOTHER)

    def _parsed(self, path: Path, number: int, line: str) -> ListedPicture:
        name, _, label = line.partition(" ")
        try:
            picture = ListedPicture(name, int(label))
        except ValueError as error:
            raise DataError(f"{self.name}: line {number} of {path} is no path with a label: {line[:80]!r}") from error
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise DataError(f"{self.name}: line {number} of {path} leaves the folder of pictures: {line[:80]!r}")
        return picture

    def _base(self, root: Path) -> Path:
        inner = root / "data"
        return inner if (inner / _LISTS).is_dir() and not (root / _LISTS).is_dir() else root

    def _list(self, root: Path) -> Path:
        return self._base(root) / _LISTS / self.path

    def _folder(self, root: Path) -> Path:
        return self._base(root) / self.folder

    @property
    def _decoding(self) -> Decoding:
        if self.size is None:
            return Decoding()
        size, short = (self.size, self.size), self.short_side or self.size
        return Decoding("RGB", "short_side_crop", size, short_side=short, interpolation=self.interpolation)


_ANOTHER = (
    "get OpenOOD's benchmark_imglist again, or take this one with source.sha256=null source.count=null "
    "(of an ID set: id.test.sha256=null ...), which records then say"
)
