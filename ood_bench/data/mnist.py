"""MNIST, FashionMNIST and KMNIST in torchvision's layout, held to the MD5 sums of their releases."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from ood_bench.data.download import download
from ood_bench.data.idx import either_form, pair_up, parse_idx, plain_bytes
from ood_bench.data.imageset import ImageSet
from ood_bench.data.source import Source
from ood_bench.errors import DataError

Dataset = Literal["MNIST", "FashionMNIST", "KMNIST"]
_PREFIX = {"train": "train", "test": "t10k"}


@dataclass(frozen=True)
class Release:
    """Where one of the sets is published and what its files hash to.

    Attributes:
        folders: places in a data root where it is looked for; a download goes to the first.
        mirrors: addresses that end in a slash; the gzipped files lie below.
        packed: MD5 of each gzipped file, in the order of :func:`file_names`.
        plain: MD5 of each file once unpacked, same order; empty where the publisher states none.
        classes: names of the ten classes.
    """

    folders: tuple[str, ...]
    mirrors: tuple[str, ...]
    packed: tuple[str, str, str, str]
    plain: tuple[str, str, str, str]
    classes: tuple[str, ...]


def file_names() -> tuple[str, str, str, str]:
    """The four files of every such set: train images and labels, test images and labels."""
    train, test = _PREFIX["train"], _PREFIX["test"]
    return (
        f"{train}-images-idx3-ubyte",
        f"{train}-labels-idx1-ubyte",
        f"{test}-images-idx3-ubyte",
        f"{test}-labels-idx1-ubyte",
    )


# Gzip sums and mirrors: torchvision 0.26 (datasets/mnist.py). Plain sums: taken from files whose gzip sums agree.
RELEASES: dict[str, Release] = {
    "MNIST": Release(
        folders=("MNIST/raw",),
        mirrors=("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
        packed=(
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
        plain=(
            "6bbc9ace898e44ae57da46a324031adb",
            "a25bea736e30d166cdddb491f175f624",
            "2646ac647ad5339dbf082846283269ea",
            "27ae3e4e09519cfbb04c329615203637",
        ),
        classes=tuple("0123456789"),
    ),
    "FashionMNIST": Release(
        folders=("FashionMNIST/raw",),
        mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        packed=(
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        plain=(
            "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "9018921c3c673c538a1fc5bad174d6f9",
            "8181f5470baa50b63fa0f6fddb340f0a",
            "15d484375f8d13e6eb1aabb0c3f46965",
        ),
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
    ),
    "KMNIST": Release(
        folders=("KMNIST/raw", "idx/kmnist"),
        mirrors=("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        packed=(
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
        plain=("", "", "bf305b8cd328700fbc17f5acbc2856d2", "9f55f451c0988b028eccdf7d5cc265ab"),
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    ),
}


@dataclass(frozen=True, kw_only=True)
class TorchvisionMnist(Source):
    """One split of MNIST, FashionMNIST or KMNIST: grey ``[N, 1, 28, 28]``, ten classes.

    Attributes:
        dataset: torchvision's name, which is the folder's name too.
        split: ``"train"`` (60,000 images) or ``"test"`` (10,000).
    """

    kind: ClassVar[str] = "torchvision_mnist"
    dataset: Dataset
    split: Literal["train", "test"]

    @property
    def fetchable(self) -> bool:
        """See :meth:`Source.fetchable`."""
        return True

    def origin(self) -> str:
        """See :meth:`Source.origin`."""
        return f"{self._release.mirrors[0]} -> {self._release.folders[0]}"

    def inputs(self, root: Path) -> list[Path]:
        """See :meth:`Source.inputs`."""
        return [found for name in self._files() if (found := self._find(root, name)) is not None]

    def missing(self, root: Path) -> str | None:
        """See :meth:`Source.missing`."""
        for name in self._files():
            if self._find(root, name) is None:
                path = root / self._release.folders[0] / name
                return f"{self.name}: {path} (plain or .gz) is missing; {self._how_to_get(root)}"
        return None

    def fetch(self, root: Path) -> None:
        """See :meth:`Source.fetch`."""
        for name, (packed, _) in self._files().items():
            if self._find(root, name) is None:
                addresses = [f"{mirror}{name}.gz" for mirror in self._release.mirrors]
                download(addresses, root / self._release.folders[0] / f"{name}.gz", md5=packed)

    def read(self, root: Path) -> ImageSet:
        """See :meth:`Source.read`."""
        self.identity(root)
        image_file, label_file = self.inputs(root)
        pixels, marks = (
            parse_idx(self._checked(path, sums, root), axes, str(path))
            for path, sums, axes in zip((image_file, label_file), self._files().values(), (3, 1), strict=True)
        )
        images, labels = pair_up(pixels, marks, 0, str(image_file))
        return ImageSet.of(self.name, images, labels, variant=self.full_variant, class_names=self._release.classes)

    @property
    def _release(self) -> Release:
        return RELEASES[self.dataset]

    def _files(self) -> dict[str, tuple[str, str]]:
        """MD5 sums (gzipped, plain) of this split's image file and label file, by file name."""
        release = self._release
        every = dict(zip(file_names(), zip(release.packed, release.plain, strict=True), strict=True))
        return {name: sums for name, sums in every.items() if name.startswith(_PREFIX[self.split])}

    def _find(self, root: Path, name: str) -> Path | None:
        places = (either_form(root / folder / name) for folder in self._release.folders)
        return next((found for found in places if found is not None), None)

    def _checked(self, path: Path, sums: tuple[str, str], root: Path) -> bytes:
        """Unpacked bytes of ``path``, held to the sum of the plain file, or to that of the gzip file without one."""
        content = plain_bytes(path)
        packed, plain = sums
        judged, expected = (content, plain) if plain else (path.read_bytes(), packed)
        found = hashlib.md5(judged, usedforsecurity=False).hexdigest()
        if found != expected:
            raise DataError(
                f"{path}: MD5 is {found} but the released file's is {expected}: incomplete or changed. "
                f"Delete it, then {self._how_to_get(root)}"
            )
        return content
