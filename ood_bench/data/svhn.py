"""Street View House Numbers, cropped digits, from the official MATLAB files, decoded by torchvision."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from ood_bench.data.download import download
from ood_bench.data.imageset import ImageSet
from ood_bench.data.source import Source, check_md5

MIRROR = "http://ufldl.stanford.edu/housenumbers/"


@dataclass(frozen=True, kw_only=True)
class Svhn(Source):
    """One split of SVHN's cropped digits: RGB ``[N, 3, 32, 32]``; the file's label 10 becomes 0.

    Looked for as ``svhn/<split>_32x32.mat``, then as ``<split>_32x32.mat``, where torchvision and a download put it.

    Attributes:
        split: ``"test"`` (26,032 images), ``"train"`` (73,257) or ``"extra"`` (531,131).
    """

    kind: ClassVar[str] = "svhn"
    always_channels: ClassVar[int] = 3
    split: Literal["train", "test", "extra"] = "test"

    def origin(self) -> str:
        return f"{MIRROR}{self._file}"

    def inputs(self, root: Path) -> list[Path]:
        places = (root / "svhn" / self._file, root / self._file)
        return [path for path in places if path.is_file()][:1]

    def lacking(self, root: Path) -> str | None:
        return None if self.inputs(root) else f"{root / self._file} is missing"

    def fetch(self, root: Path) -> None:
        if self.missing(root) is not None:
            download([self.origin()], root / self._file, md5=self._md5())

    def read(self, root: Path) -> ImageSet:
        self.identity(root)
        (path,) = self.inputs(root)
        check_md5(path, self._md5(), "delete it and get it again; a .mat of your own can be read as a folder of images")
        whole = _reader()(path.parent, self.split)
        return ImageSet.of(
            self.name, whole.data, whole.labels, variant=self.full_variant, class_names=tuple("0123456789")
        )

    @property
    def _file(self) -> str:
        return f"{self.split}_32x32.mat"

    def _md5(self) -> str:
        return str(_reader().split_list[self.split][2])


def _reader() -> Any:
    """The set's class of torchvision."""
    from torchvision.datasets import SVHN  # noqa: PLC0415 - takes seconds to import, and few runs need it

    return SVHN
