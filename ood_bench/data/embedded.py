"""Images that come with scikit-learn: enough to run the whole tool with no download at all."""

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import PIL
from PIL import Image
from pydantic import Field

from ood_bench.data.imageset import Images, ImageSet
from ood_bench.data.source import Source
from ood_bench.errors import ConfigError

_DIGITS_PEAK = 16
_PHOTOS = {"china": ("china.jpg",), "flower": ("flower.jpg",), "both": ("china.jpg", "flower.jpg")}


def stratified_split(
    labels: npt.NDArray[np.int64], test_fraction: float, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows of the training part and of the test part, each ascending, with every class cut in the same proportion.

    Args:
        labels: int64 ``[N]``.
        test_fraction: share of each class that goes to the test part, rounded to whole images.
        seed: seed of the draw.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    test = [
        generator.permutation(rows)[: round(len(rows) * test_fraction)]
        for rows in (np.flatnonzero(labels == label) for label in np.unique(labels))
    ]
    chosen = np.sort(np.concatenate(test))
    return np.setdiff1d(np.arange(len(labels)), chosen), chosen


@dataclass(frozen=True, kw_only=True)
class Digits(Source):
    """Scikit-learn's handwritten digits: 1,797 grey images ``[1, 8, 8]``, the UCI set's test part.

    The stored values 0 to 16 become 0 to 255 (``v * 255 / 16``, rounded).

    Attributes:
        classes: digits to keep; labels count them in this order from zero.
        split: ``"all"``, or one part of a stratified split that is the same for every choice of ``classes``.
        test_fraction: share of each class in the test part.
        seed: seed of the split.
    """

    kind: ClassVar[str] = "digits"
    always_channels: ClassVar[int] = 1
    classes: tuple[Annotated[int, Field(ge=0, le=9)], ...] = tuple(range(10))
    split: Literal["train", "test", "all"] = "all"
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.4
    seed: Annotated[int, Field(ge=0)] = 0

    def __post_init__(self) -> None:
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise ConfigError(f"{self.name}: classes {list(self.classes)} are empty or repeat one")

    def origin(self) -> str:
        return "comes with scikit-learn"

    def read(self, root: Path) -> ImageSet:
        from sklearn.datasets import load_digits  # noqa: PLC0415 - takes seconds to import, and few runs need it

        bundle = load_digits()
        images = np.rint(bundle.images * (255 / _DIGITS_PEAK)).astype(np.uint8)[:, None]
        digits = bundle.target.astype(np.int64)
        train, test = stratified_split(digits, self.test_fraction, self.seed)
        rows = {"train": train, "test": test, "all": np.arange(len(digits))}[self.split]
        rows = rows[np.isin(digits[rows], self.classes)]
        position = {digit: label for label, digit in enumerate(self.classes)}
        labels = [position[digit] for digit in digits[rows].tolist()]
        names = [str(digit) for digit in self.classes]
        return ImageSet.of(self.name, images[rows], labels, variant=self.full_variant, class_names=names)


def shrunken_photo(file_name: str, channels: int, shrink: int) -> npt.NDArray[np.uint8]:
    """One of scikit-learn's two photographs as uint8 ``[H, W, C]``, shrunk by averaging blocks of pixels.

    Args:
        file_name: ``"china.jpg"`` or ``"flower.jpg"``, both 427 by 640 before shrinking.
        channels: 1 for grey (ITU-R 601 weights, as PIL converts), 3 for RGB.
        shrink: side of the averaged blocks (PIL ``reduce``, a box filter).
    """
    from sklearn.datasets import load_sample_image  # noqa: PLC0415 - takes seconds to import, and few runs need it

    photo = Image.fromarray(load_sample_image(file_name)).convert("L" if channels == 1 else "RGB").reduce(shrink)
    return np.asarray(photo).reshape(photo.height, photo.width, channels)


@dataclass(frozen=True, kw_only=True)
class PhotoPatches(Source):
    """Square patches of scikit-learn's two photographs, cut at seeded positions that never repeat.

    A photograph is shrunk first: small patches of the full picture are nearly flat. Patches of ``china`` and of
    ``flower`` share no pixel, so one can serve for tuning or as outliers while the other is tested.

    Attributes:
        image: photograph to cut from; ``"both"`` takes turns.
        shape: channels (1 or 3), height and width of a patch.
        count: number of patches.
        shrink: side of the pixel blocks that are averaged into one.
        seed: seed of the positions; a smaller ``count`` gives the first of the same patches.
    """

    kind: ClassVar[str] = "photo_patches"
    shape: tuple[Literal[1, 3], int, int]
    image: Literal["china", "flower", "both"] = "both"
    count: Annotated[int, Field(gt=0)] = 1_000
    shrink: Annotated[int, Field(gt=0)] = 8
    seed: Annotated[int, Field(ge=0)] = 0

    def parameters(self) -> dict[str, Any]:
        """The decoder's and the photographs' versions count as well."""
        return {
            **super().parameters(),
            "pillow": PIL.__version__,
            "sklearn": importlib.metadata.version("scikit-learn"),
        }

    @property
    def channels(self) -> int:
        return self.shape[0]

    def origin(self) -> str:
        return "comes with scikit-learn"

    def read(self, root: Path) -> ImageSet:
        files = _PHOTOS[self.image]
        shares = [len(range(turn, self.count, len(files))) for turn in range(len(files))]
        images: Images = np.empty((self.count, *self.shape), dtype=np.uint8)
        for turn, (name, share) in enumerate(zip(files, shares, strict=True)):
            images[turn :: len(files)] = self._patches(name, share)
        return ImageSet.of(self.name, images, variant=self.full_variant)

    def _patches(self, file_name: str, count: int) -> Images:
        channels, height, width = self.shape
        photo = shrunken_photo(file_name, channels, self.shrink)
        if photo.shape[0] < height or photo.shape[1] < width:
            raise ConfigError(f"{self.name}: {file_name} shrunk {self.shrink} times is smaller than {height}x{width}")
        windows = np.lib.stride_tricks.sliding_window_view(photo, (height, width), axis=(0, 1))
        across = windows.shape[1]
        if count > (places := windows.shape[0] * across):
            raise ConfigError(f"{self.name}: {file_name} has {places} patches, {count} are asked for; set count lower")
        drawn = np.random.Generator(np.random.PCG64(self.seed)).permutation(places)[:count]
        return windows[drawn // across, drawn % across]
