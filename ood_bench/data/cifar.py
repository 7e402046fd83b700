"""CIFAR-10 and CIFAR-100 from their official Python archives, without running what a pickle may hold."""

import contextlib
import io
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from ood_bench.data.archive import unpacked
from ood_bench.data.download import download
from ood_bench.data.imageset import ImageSet
from ood_bench.data.source import Source, md5_file, stamp
from ood_bench.errors import DataError

_SHAPE = (3, 32, 32)
_RECONSTRUCT = np.zeros(0).__reduce__()[0]
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArraysOnly(pickle.Unpickler):
    """Unpickles containers, text, numbers and numpy arrays; a pickle is code, so nothing else is let through."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        """The allowed object of this name; see the base class."""
        if (found := _ALLOWED.get((module_name, global_name))) is None:
            raise pickle.UnpicklingError(f"asks for {module_name}.{global_name}, which no CIFAR file does")
        return found


@dataclass(frozen=True)
class Release:
    """Where one of the sets is published and what its files hash to (MD5: torchvision 0.26, datasets/cifar.py).

    Attributes:
        archive: file name of the archive.
        md5: MD5 of the archive.
        folder: the folder inside, which a data root may hold instead.
        splits: MD5 of each split's batches by file name, in the order of the rows.
        meta: file with the class names, and its MD5.
        label_key: key of the labels in a batch.
        names_key: key of the class names in ``meta``.
    """

    archive: str
    md5: str
    folder: str
    splits: dict[str, dict[str, str]]
    meta: tuple[str, str]
    label_key: str
    names_key: str


MIRROR = "https://www.cs.toronto.edu/~kriz/"
RELEASES = {
    "cifar10": Release(
        archive="cifar-10-python.tar.gz",
        md5="c58f30108f718f92721af3b95e74349a",
        folder="cifar-10-batches-py",
        splits={
            "train": {
                "data_batch_1": "c99cafc152244af753f735de768cd75f",
                "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
                "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
                "data_batch_4": "634d18415352ddfa80567beed471001a",
                "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            },
            "test": {"test_batch": "40351d587109b95175f43aff81a1287e"},
        },
        meta=("batches.meta", "5ff9c542aee3614f3951f8cda6e48888"),
        label_key="labels",
        names_key="label_names",
    ),
    "cifar100": Release(
        archive="cifar-100-python.tar.gz",
        md5="eb9058c3a382ffc7106e4002c42a8d85",
        folder="cifar-100-python",
        splits={
            "train": {"train": "16019d7e3df5f24257cddd939b257f8d"},
            "test": {"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
        },
        meta=("meta", "7973b15100ade9c7d40fb424638fde48"),
        label_key="fine_labels",
        names_key="fine_label_names",
    ),
}


def load_batch(path: Path, md5: str) -> dict[str, Any]:
    """The mapping that a CIFAR file holds.

    Raises:
        DataError: if the file has another MD5 (checked first), or holds anything but arrays, numbers and text.
    """
    if (found := md5_file(path)) != md5:
        raise DataError(f"{path}: MD5 is {found}, not {md5}: incomplete or changed; delete its folder, get it again")
    try:
        # latin1 keeps the bytes of arrays that Python 2 pickled as text.
        held = _ArraysOnly(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise DataError(f"{path}: not a CIFAR file: {error}") from error
    if not isinstance(held, dict):
        raise DataError(f"{path}: not a CIFAR file: it holds a {type(held).__name__}, not a mapping")
    return held


@dataclass(frozen=True, kw_only=True)
class Cifar(Source):
    """One split of CIFAR-10 or CIFAR-100 (fine labels): RGB ``[N, 3, 32, 32]`` in the official row order.

    Reads torchvision's unpacked folder if it is there, the official archive otherwise.

    Attributes:
        dataset: which of the two.
        split: ``"train"`` (50,000 images) or ``"test"`` (10,000).
    """

    kind: ClassVar[str] = "cifar"
    dataset: Literal["cifar10", "cifar100"]
    split: Literal["train", "test"]

    @property
    def fetchable(self) -> bool:
        """See :meth:`Source.fetchable`."""
        return True

    def origin(self) -> str:
        """See :meth:`Source.origin`."""
        return f"{MIRROR}{self._release.archive}"

    def missing(self, root: Path) -> str | None:
        """See :meth:`Source.missing`."""
        folder, archive = root / self._release.folder, root / self._release.archive
        if folder.is_dir():
            lost = [name for name in self._files() if not (folder / name).is_file()]
            return f"{self.name}: {folder / lost[0]} is missing; {self._how_to_get(root)}" if lost else None
        if archive.is_file():
            return None
        return f"{self.name}: neither {archive} nor the folder {folder} is there; {self._how_to_get(root)}"

    def stamps(self, root: Path) -> Any:
        """See :meth:`Source.stamps`."""
        folder = root / self._release.folder
        paths = [folder / name for name in self._files()] if folder.is_dir() else [root / self._release.archive]
        return [stamp(path, root) for path in paths]

    def fetch(self, root: Path) -> None:
        """See :meth:`Source.fetch`."""
        if self.missing(root) is not None:
            download([self.origin()], root / self._release.archive, md5=self._release.md5)
        super().fetch(root)

    def read(self, root: Path) -> ImageSet:
        """See :meth:`Source.read`."""
        self.identity(root)
        with self._folder(root) as folder:
            batches = [load_batch(folder / name, md5) for name, md5 in self._release.splits[self.split].items()]
            names = load_batch(folder / self._release.meta[0], self._release.meta[1]).get(self._release.names_key, ())
        try:
            rows = np.concatenate([np.asarray(batch["data"], dtype=np.uint8) for batch in batches])
            images = rows.reshape(-1, *_SHAPE)
            labels = [label for batch in batches for label in batch[self._release.label_key]]
        except (KeyError, ValueError, TypeError) as error:
            raise DataError(f"{self.name}: its batches do not hold 3,072 bytes a row with labels: {error}") from error
        return ImageSet.of(self.name, images, labels, variant=self.full_variant, class_names=names)

    @property
    def _release(self) -> Release:
        return RELEASES[self.dataset]

    def _files(self) -> list[str]:
        return [*self._release.splits[self.split], self._release.meta[0]]

    @contextlib.contextmanager
    def _folder(self, root: Path) -> Iterator[Path]:
        if (folder := root / self._release.folder).is_dir():
            yield folder
            return
        with unpacked(root / self._release.archive, self._release.folder, self._release.md5) as staged:
            yield staged
