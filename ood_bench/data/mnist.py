"""MNIST, FashionMNIST and KMNIST, held to the MD5 sums of their releases and decoded by torchvision."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from ood_bench.data.download import DATA_ROOT, download
from ood_bench.data.idx import plain_bytes
from ood_bench.data.imageset import ImageSet
from ood_bench.data.source import Source, check_md5
from ood_bench.utils.files import write_atomically

Dataset = Literal["MNIST", "FashionMNIST", "KMNIST"]
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_MOST_BYTES = 16 + 60_000 * 28 * 28  # length of the training images, the largest of the unpacked files


@dataclass(frozen=True)
class Release:
    """Where one of the sets is found, and what its unpacked files hash to; torchvision knows the packed ones' sums.

    Attributes:
        folders: places in a data root where it is looked for; a download goes to the first, which is torchvision's.
        mirrors: addresses that end in a slash; the gzipped files lie below.
        plain: MD5 of each unpacked file in the order of :data:`FILES`, taken from files whose gzip sums agree; empty
            where no such file was at hand.
    """

    folders: tuple[str, ...]
    mirrors: tuple[str, ...]
    plain: tuple[str, str, str, str]


RELEASES: dict[str, Release] = {
    "MNIST": Release(
        folders=("MNIST/raw",),
        mirrors=("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
        plain=(
            "6bbc9ace898e44ae57da46a324031adb",
            "a25bea736e30d166cdddb491f175f624",
            "2646ac647ad5339dbf082846283269ea",
            "27ae3e4e09519cfbb04c329615203637",
        ),
    ),
    "FashionMNIST": Release(
        folders=("FashionMNIST/raw",),
        mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        plain=(
            "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "9018921c3c673c538a1fc5bad174d6f9",
            "8181f5470baa50b63fa0f6fddb340f0a",
            "15d484375f8d13e6eb1aabb0c3f46965",
        ),
    ),
    "KMNIST": Release(
        folders=("KMNIST/raw", "idx/kmnist"),
        mirrors=("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        plain=("", "", "bf305b8cd328700fbc17f5acbc2856d2", "9f55f451c0988b028eccdf7d5cc265ab"),
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
    always_channels: ClassVar[int] = 1
    dataset: Dataset
    split: Literal["train", "test"]

    def origin(self) -> str:
        return f"{self._release.mirrors[0]} -> {self._release.folders[0]}"

    def inputs(self, root: Path) -> list[Path]:
        return [found for name in FILES[self.split] if (found := self._find(root, name)) is not None]

    def lacking(self, root: Path) -> str | None:
        lost = next((name for name in FILES[self.split] if self._find(root, name) is None), None)
        if lost is None:
            return None
        form = " (plain or .gz)" if self._plain_sum(lost) else ".gz"
        return f"{root / self._release.folders[0] / lost}{form} is missing"

    def fetch(self, root: Path) -> None:
        """Downloads what is missing and unpacks it, where torchvision does and as far as the plain sum is known."""
        for name in FILES[self.split]:
            if self._find(root, name) is not None:
                continue
            packed = root / self._release.folders[0] / f"{name}.gz"
            download([f"{mirror}{name}.gz" for mirror in self._release.mirrors], packed, md5=self._packed_sum(name))
            if self._plain_sum(name):
                content = plain_bytes(packed, _MOST_BYTES)
                write_atomically(packed.with_suffix(""), content, durable=False, setting=DATA_ROOT)

    def read(self, root: Path) -> ImageSet:
        self.identity(root)
        from torchvision.datasets import mnist  # noqa: PLC0415 - takes seconds to import, and few runs need it

        with tempfile.TemporaryDirectory() as folder:
            places = [Path(folder, name) for name in FILES[self.split]]
            for path, place in zip(self.inputs(root), places, strict=True):
                self._put(path, place)
            images = mnist.read_image_file(str(places[0])).numpy()[:, None]
            labels = mnist.read_label_file(str(places[1])).numpy()
        classes = self._reader().classes
        names = [str(name).split(" - ", maxsplit=1)[0] for name in classes]  # MNIST's are "0 - zero" and so on
        return ImageSet.of(self.name, images, labels, variant=self.full_variant, class_names=names)

    def _put(self, path: Path, place: Path) -> None:
        """Unpacks a file of the data root to a place that is named as the release names it, and checks it."""
        if not (plain := self._plain_sum(place.name)):
            check_md5(path, self._packed_sum(place.name))
        place.write_bytes(plain_bytes(path, _MOST_BYTES))
        if plain:
            check_md5(place, plain, shown=path)

    @property
    def _release(self) -> Release:
        return RELEASES[self.dataset]

    def _find(self, root: Path, name: str) -> Path | None:
        """The file, plain or packed; packed alone where only that form's sum is known."""
        forms = (name, f"{name}.gz") if self._plain_sum(name) else (f"{name}.gz",)
        places = (root / folder / form for folder in self._release.folders for form in forms)
        return next((place for place in places if place.is_file()), None)

    def _plain_sum(self, name: str) -> str:
        return dict(zip(FILES["train"] + FILES["test"], self._release.plain, strict=True))[name]

    def _packed_sum(self, name: str) -> str:
        return str(dict(self._reader().resources)[f"{name}.gz"])

    def _reader(self) -> Any:
        """The set's class of torchvision."""
        from torchvision import datasets  # noqa: PLC0415 - takes seconds to import, and few runs need it

        return getattr(datasets, self.dataset)
