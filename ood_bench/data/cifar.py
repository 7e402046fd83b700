"""CIFAR-10 and CIFAR-100 from their official Python archives, decoded by torchvision."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from ood_bench.data.archive import unpacked
from ood_bench.data.download import download
from ood_bench.data.imageset import ImageSet
from ood_bench.data.source import Source, check_md5, stamp
from ood_bench.utils.files import move_unless_there

MIRROR = "https://www.cs.toronto.edu/~kriz/"


@dataclass(frozen=True)
class Layout:
    """Names of the files of one set; torchvision knows their MD5 sums, and is slow to import.

    Attributes:
        archive: the archive.
        folder: the folder inside, which a data root may hold instead.
        splits: each split's batches, in the order of the rows.
        meta: the file with the class names.
    """

    archive: str
    folder: str
    splits: dict[str, tuple[str, ...]]
    meta: str


LAYOUTS = {
    "cifar10": Layout(
        archive="cifar-10-python.tar.gz",
        folder="cifar-10-batches-py",
        splits={"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)},
        meta="batches.meta",
    ),
    "cifar100": Layout(
        archive="cifar-100-python.tar.gz",
        folder="cifar-100-python",
        splits={"train": ("train",), "test": ("test",)},
        meta="meta",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Cifar(Source):
    """One split of CIFAR-10 or CIFAR-100 (fine labels): RGB ``[N, 3, 32, 32]`` in the official row order.

    Reads torchvision's unpacked folder if it is there, the official archive otherwise. Its files are pickles, which can
    hold code: none is opened before it has the published MD5.

    Attributes:
        dataset: which of the two.
        split: ``"train"`` (50,000 images) or ``"test"`` (10,000).
    """

    kind: ClassVar[str] = "cifar"
    always_channels: ClassVar[int] = 3
    dataset: Literal["cifar10", "cifar100"]
    split: Literal["train", "test"]

    def origin(self) -> str:
        return f"{MIRROR}{self._layout.archive}"

    def lacking(self, root: Path) -> str | None:
        folder, archive = root / self._layout.folder, root / self._layout.archive
        if archive.is_file() or not (lost := self._lost(folder)):
            return None
        if folder.is_dir():
            return f"{lost[0]} is missing"
        return f"neither {archive} nor the folder {folder} is there"

    def stamps(self, root: Path) -> Any:
        folder = root / self._layout.folder
        paths = [root / self._layout.archive] if self._lost(folder) else [folder / name for name in self._files()]
        return [stamp(path, root) for path in paths]

    def fetch(self, root: Path) -> None:
        """Downloads the archive and unpacks it beside itself, where torchvision does.

        Where the folder is there, of another process or without some files, the archive alone serves as well.
        """
        if self.missing(root) is not None:
            final = root / self._layout.folder
            download([self.origin()], root / self._layout.archive, md5=self._reader().tgz_md5)
            if not final.exists():
                with self._folder(root) as folder:
                    move_unless_there(folder, final)

    def read(self, root: Path) -> ImageSet:
        self.identity(root)
        reader = self._reader()
        sums = {**dict(reader.train_list), **dict(reader.test_list), reader.meta["filename"]: reader.meta["md5"]}
        with self._folder(root) as folder:
            for name, md5 in sums.items():
                check_md5(folder / name, md5)
            whole = reader(folder.parent, train=self.split == "train")
        images = np.ascontiguousarray(whole.data.transpose(0, 3, 1, 2))
        return ImageSet.of(self.name, images, whole.targets, variant=self.full_variant, class_names=whole.classes)

    @property
    def _layout(self) -> Layout:
        return LAYOUTS[self.dataset]

    def _files(self) -> list[str]:
        return [*self._layout.splits[self.split], self._layout.meta]

    def _lost(self, folder: Path) -> list[Path]:
        """Files of this split that the folder lacks."""
        return [folder / name for name in self._files() if not (folder / name).is_file()]

    def _reader(self) -> Any:
        """The set's class of torchvision, changed to ask for the files of this split alone."""
        from torchvision import datasets  # noqa: PLC0415 - takes seconds to import, and few runs need it

        others = "test_list" if self.split == "train" else "train_list"
        return type(self.dataset, (getattr(datasets, self.dataset.upper()),), {others: []})

    @contextlib.contextmanager
    def _folder(self, root: Path) -> Iterator[Path]:
        if not self._lost(folder := root / self._layout.folder):
            yield folder
            return
        with unpacked(root / self._layout.archive, self._layout.folder, self._reader().tgz_md5) as staged:
            yield staged
