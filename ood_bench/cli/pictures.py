"""A look at a folder of images: what a config has to say of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ood_bench.errors import ConfigError

_PARTS = {"train": ("train", "training"), "test": ("test", "val", "validation")}
_LARGEST = 512
_USUAL = 224
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
    """Looks at the images of an ID set (``classes``) or of an OOD set.

    Args:
        folder: where they are; none for a set whose images come later.
        size: side to which they are brought; by default that of the first image if it is a small square, else 224.
        classes: whether they have to lie in class folders.

    Raises:
        ConfigError: if there is no such folder, or it has no images where they should be.
    """
    if size is not None and size < 1:
        raise ConfigError(f"--size {size}: it is a number of pixels", "write --size 64")
    if folder is None:
        return Pictures(size=size or 64)
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}", "name the folder of images: --images DIR")
    parted = _parted(folder) if classes else {}
    if classes:
        owners = {name: _class_folders(folder / name) for name in parted.values()} or {"": _class_folders(folder)}
        if len({tuple(names) for names in owners.values()}) > 1:
            raise ConfigError(f"the parts of {folder} have other class folders", "give both the same")
        names = next(iter(owners.values()))
        if len(names) < 2:
            raise ConfigError(
                f"{folder} has {len(names)} class folders with images: an ID set has two or more",
                f"put the images of each class into a folder of its own, {folder}/CLASS, or use a list: kind: list",
            )
    else:
        names = []
    mode, side = _first(folder)
    return Pictures(folder, len(names), size or side, mode, parted)


def _parted(folder: Path) -> dict[str, str]:
    """Names of the folders for training and testing, if the folder has both."""
    found = {part: next((name for name in known if (folder / name).is_dir()), "") for part, known in _PARTS.items()}
    return found if all(found.values()) else {}


def _class_folders(folder: Path) -> list[str]:
    from ood_bench.data.walk import walk  # noqa: PLC0415 - rarely needed

    paths = (path for path, state in walk(str(folder), "", deep=True) if state is not None)
    return sorted({path.split("/", 1)[0] for path in paths if "/" in path})


def _first(folder: Path) -> tuple[str, int]:
    """Mode of the first image, and its side if it is a small square, else 224."""
    from PIL import Image  # noqa: PLC0415 - rarely needed

    from ood_bench.data.walk import walk  # noqa: PLC0415

    path = next((path for path, state in walk(str(folder), "", deep=True) if state is not None), None)
    if path is None:
        raise ConfigError(f"{folder} holds no images", "name the folder of images: --images DIR")
    try:
        with Image.open(folder / path) as picture:
            width, height, grey = picture.width, picture.height, picture.mode in ("L", "1", "LA")
    except OSError as error:
        raise ConfigError(f"{folder / path} cannot be read as an image", "mend or remove it") from error
    return "L" if grey else "RGB", width if width == height <= _LARGEST else _USUAL
