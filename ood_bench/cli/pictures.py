"""A look at a folder of images: what a config has to say of it."""

import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ood_bench.errors import ConfigError

_PARTS = {"train": ("train", "training"), "test": ("test", "val", "validation")}
_LARGEST = 512
_USUAL = 224
_LOOKED_AT = 50
_GREY = ("L", "1", "LA")
_MOMENTS = {
    "RGB": "{mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}",
    "L": "{mean: [0.5], std: [0.5]}",
}


@dataclass(frozen=True)
class Pictures:
    """What is known of the images of a set.

    Attributes:
        folder: where they are; none if that is not known.
        classes: number of class folders.
        size: side to which they are brought.
        mode: ``"RGB"`` or ``"L"``.
        parted: names of the folders of the training and the test part, where there are such.
    """

    folder: Path | None = None
    classes: int = 10
    size: int = 64
    mode: str = "RGB"
    parted: Mapping[str, str] = field(default_factory=dict)

    def words(self) -> dict[str, str]:
        """What stands for the upper-case words of the templates."""
        found = {
            "CLASSES": str(self.classes),
            "SIZE": str(self.size),
            "MODE": self.mode,
            "CHANNELS": "1" if self.mode == "L" else "3",
            "MOMENTS": _MOMENTS[self.mode],
            "ORIGIN": "ImageNet's, on the [0, 1] scale" if self.mode == "RGB" else "on the [0, 1] scale",
        }
        return found | ({} if self.folder is None else {"PATH": self.folder.resolve().as_posix()})


def look_at(folder: Path | None, size: int | None, *, classes: bool) -> Pictures:
    """Looks at the images of an ID set (``classes``) or of an OOD set; says if those of an ID set differ.

    Args:
        folder: where they are; none for a set whose images come later.
        size: side to which they are brought; by default the most frequent one if it is that of a small square, else
            224.
        classes: whether they have to lie in class folders.

    Raises:
        ConfigError: if there is no such folder, it has no images where they should be, or one cannot be opened.
    """
    if size is not None and size < 1:
        raise ConfigError(f"--size {size}: it is a number of pixels", "write --size 64")
    if folder is None:
        return Pictures(size=size or 64)
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}", "name the folder of images: --images DIR")
    parted = _parted(folder) if classes else {}
    paths = _images(folder, parted.values())
    names = _classes(folder, paths, parted.values()) if classes else []
    if not paths:
        raise ConfigError(f"{folder} holds no images", "name the folder of images: --images DIR")
    seen = [_opened(folder / paths[i * len(paths) // n]) for n in [min(len(paths), _LOOKED_AT)] for i in range(n)]
    mode, side = _mode_and_side(seen)
    if classes and (remark := _differences(seen, mode, size or side)):
        sys.stdout.write(f"{remark}\n")
    return Pictures(folder, len(names), size or side, mode, parted)


def _parted(folder: Path) -> dict[str, str]:
    """Names of the folders for training and testing, if the folder has both."""
    found = {part: next((name for name in known if (folder / name).is_dir()), "") for part, known in _PARTS.items()}
    return found if all(found.values()) else {}


def _images(folder: Path, parts: Iterable[str]) -> list[str]:
    """Sorted paths of all images below a folder, or below those of its folders that ``parts`` names."""
    from ood_bench.data.walk import walk  # noqa: PLC0415 - rarely needed

    places = [(folder / part, f"{part}/") for part in parts] or [(folder, "")]
    found = (one for place, prefix in places for one in walk(str(place), prefix, deep=True))
    return sorted(path for path, state in found if state is not None)


def _classes(folder: Path, paths: Sequence[str], parts: Iterable[str]) -> list[str]:
    """Names of the class folders with images, which all parts must have."""
    prefixes = [f"{part}/" for part in parts] or [""]
    below = [[path.removeprefix(one) for path in paths if path.startswith(one)] for one in prefixes]
    owners = [sorted({path.split("/", 1)[0] for path in part if "/" in path}) for part in below]
    if any(names != owners[0] for names in owners):
        raise ConfigError(f"the parts of {folder} have other class folders", "give both the same")
    if len(owners[0]) < 2:
        raise ConfigError(
            f"{folder} has {len(owners[0])} class folders with images: an ID set has two or more",
            f"put the images of each class into a folder of its own, {folder}/CLASS, or use a list: kind: list",
        )
    return owners[0]


def _opened(path: Path) -> tuple[bool, tuple[int, int]]:
    """Whether an image is grey, and its width and height."""
    from PIL import Image  # noqa: PLC0415 - rarely needed

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)  # a run refuses what is so large
            with Image.open(path) as picture:
                return picture.mode in _GREY, picture.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ConfigError(f"{path} has more pixels than a run takes", "shrink or remove it") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise ConfigError(f"{path} cannot be read as an image", "mend or remove it") from error


def _mode_and_side(seen: Sequence[tuple[bool, tuple[int, int]]]) -> tuple[str, int]:
    """``"L"`` if all images are grey, and the most frequent side if it is that of a small square, else 224."""
    counts = Counter(size for _, size in seen)
    width, height = max(counts, key=lambda size: (counts[size], size[0] * size[1], size))
    return "L" if all(grey for grey, _ in seen) else "RGB", width if width == height <= _LARGEST else _USUAL


def _differences(seen: Sequence[tuple[bool, tuple[int, int]]], mode: str, side: int) -> str:
    """How images differ in colour and size, and what becomes of them; nothing if they do not."""
    greys, sizes = sum(grey for grey, _ in seen), sorted({size for _, size in seen}, key=lambda size: size[0] * size[1])
    parts = []
    if 0 < greys < len(seen):
        parts.append(f"{greys} {'is' if greys == 1 else 'are'} grey")
    if len(sizes) > 1:
        (least, most) = (f"{width}x{height}" for width, height in (sizes[0], sizes[-1]))
        parts.append(f"sizes {least} to {most}")
    return f"looked at {len(seen)} images: {', '.join(parts)}; they become {mode}, {side}x{side}" if parts else ""
