"""From image files to one uint8 array: decoding in parallel, and every resize policy by its name."""

import io
import logging
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from ood_bench.data.download import is_web_page
from ood_bench.data.imageset import Images
from ood_bench.errors import DataError
from ood_bench.utils.progress import ticking

Resize = Literal["none", "squash", "short_side_crop", "center_crop", "random_crop"]
Mode = Literal["RGB", "L"]
Interpolation = Literal["bilinear", "bicubic"]
OnDamage = Literal["refuse", "skip"]
_log = logging.getLogger(__name__)
_CHUNK = 128
MOST_THREADS = 16
_MOST_PIXELS = 89_478_485  # from there on Pillow warns of decompression bombs
_POLICIES = "squash, short_side_crop, center_crop or random_crop"


@dataclass(frozen=True)
class Decoding:
    """How a picture becomes an array; PIL's filters average when they shrink.

    Attributes:
        mode: ``"RGB"`` or ``"L"``; others are converted (grey repeated, CMYK and palettes to RGB, alpha dropped).
        resize: ``"none"`` leaves the size; ``"squash"`` resizes both sides; ``"short_side_crop"`` resizes the shorter
            side, then cuts the centre; ``"center_crop"`` and ``"random_crop"`` only cut.
        size: height and width after resizing; none for ``"none"``.
        seed: seed of random crops.
        short_side: length of the short side before ``"short_side_crop"`` cuts; the smaller of ``size`` if none.
        interpolation: filter of ``"squash"`` and ``"short_side_crop"``.
    """

    mode: Mode = "RGB"
    resize: Resize = "none"
    size: tuple[int, int] | None = None
    seed: int = 0
    short_side: int | None = None
    interpolation: Interpolation = "bilinear"

    def __str__(self) -> str:
        if self.size is None:
            return ""
        area = f"{self.size[0]}×{self.size[1]}"
        return {
            "none": "",
            "squash": f"squashed to {area}, PIL {self.interpolation}",
            "short_side_crop": (
                f"short side to {self.short_side or min(self.size)}, PIL {self.interpolation}, centre {area}"
            ),
            "center_crop": f"centre {area}",
            "random_crop": f"random {area} crop, seed {self.seed}",
        }[self.resize]


def decode_file(path: Path, index: int, how: Decoding) -> Images:
    """One picture as uint8 ``[C, H, W]``.

    Args:
        path: the file.
        index: number of the picture in its set, which random crops are keyed by.
        how: mode and resize policy. EXIF orientation is ignored, as every published loader does.

    Raises:
        DataError: if the file is no whole picture, is smaller than a crop, has more than 8 bits a channel or more than
            89 million pixels.
    """
    try:
        content = path.read_bytes()
    except (OSError, MemoryError) as error:
        raise DataError(
            f"{path}: cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}"
        ) from error
    try:
        with Image.open(io.BytesIO(content)) as opened:
            pixels = np.asarray(_resized(_converted(opened, how.mode), index, how))
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise DataError(f"{path}: not a whole picture{_why(content, error)}") from error
    except MemoryError as error:
        raise DataError(f"{path}: decoding it needs more memory than there is") from error
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _why(content: bytes, error: Exception) -> str:
    if not content:
        return ": empty file"
    if is_web_page(content):
        return " (a web page was saved under this name)"
    if isinstance(error, UnidentifiedImageError):  # its text is an address in memory
        return ": of no known image format"
    return f": {error}"


def _converted(picture: Image.Image, mode: Mode) -> Image.Image:
    """The picture in ``mode``; refuses, before it is decoded, what would fill the memory or lose bits."""
    if picture.width * picture.height > _MOST_PIXELS:
        raise DataError(f"{picture.height}x{picture.width} pixels are more than {_MOST_PIXELS:,}: shrink it first")
    if picture.mode.startswith(("I", "F")):
        raise DataError(f"pixels of mode {picture.mode}; convert the file to 8 bits a channel")
    if _has_wide_channels(picture):
        raise DataError("pixels of 16 bits a channel; convert the file to 8 bits a channel")
    return picture.convert(mode)


def _has_wide_channels(picture: Image.Image) -> bool:
    """Whether colours are stored with more than 8 bits, of which Pillow would silently keep 8."""
    for codec, _, _, options in getattr(picture, "tile", []):
        stored, *rest = (options,) if isinstance(options, str) else options
        if re.search(r";16[BLN]$", str(stored)) or (codec.startswith("ppm") and rest[0] > 255):
            return True
    return False


def _resized(picture: Image.Image, index: int, how: Decoding) -> Image.Image:
    if how.resize == "none" or how.size is None:
        return picture
    from torchvision.transforms.v2 import InterpolationMode, functional  # noqa: PLC0415 - takes seconds to import

    height, width = how.size
    if how.resize in ("squash", "short_side_crop"):
        short = [how.short_side or min(how.size)]
        sides, kind = [height, width] if how.resize == "squash" else short, InterpolationMode(how.interpolation)
        picture = functional.resize(picture, sides, interpolation=kind)
    spare_across, spare_down = picture.width - width, picture.height - height
    if spare_across < 0 or spare_down < 0:
        raise DataError(f"{picture.height}x{picture.width} is smaller than the crop {height}x{width}; use squash")
    if how.resize == "random_crop":
        draw = np.random.Generator(np.random.Philox(key=np.array([how.seed, index], dtype=np.uint64)))
        top, left = (int(draw.integers(spare + 1)) for spare in (spare_down, spare_across))
        return picture.crop((left, top, left + width, top + height))
    centre: Image.Image = functional.center_crop(picture, [height, width])
    return centre


def other_size(name: str, path: Path, pixels: Images, first: Path, shape: tuple[int, ...]) -> DataError:
    """The error about a picture of another size than the first, ``[C, H, W]`` like ``shape``."""
    return DataError(
        f"{name}: {path} is {pixels.shape[1]}x{pixels.shape[2]} but {first.name} is {shape[1]}x{shape[2]}; set "
        f"source.size and source.resize ({_POLICIES})"
    )


@dataclass
class _Reader:
    """Decodes pictures by their places, and remembers the damaged ones where they are to be left out."""

    paths: Sequence[Path]
    how: Decoding
    skip: bool
    damaged: dict[int, DataError] = field(default_factory=dict)

    def whole(self, index: int) -> Images | None:
        """A picture uint8 ``[C, H, W]``; none if it is damaged and left out."""
        try:
            return decode_file(self.paths[index], index, self.how)
        except DataError as error:
            if not self.skip:
                hint = error.hint or "mend or remove it, or leave damaged files out: data.on_damage=skip"
                raise DataError(error.message, hint) from error
            self.damaged[index] = error
            return None

    def first(self, name: str) -> tuple[Path, Images]:
        """The first whole picture and its file; raises :class:`DataError` if there is none."""
        for index, path in enumerate(self.paths):
            if (pixels := self.whole(index)) is not None:
                return path, pixels
        raise DataError(f"{name}: none of {len(self.paths):,} pictures is whole; the first: {self.damaged[0]}")


def decode_files(
    paths: Sequence[Path], how: Decoding, name: str, on_damage: OnDamage = "refuse"
) -> tuple[Images, list[int]]:
    """Pictures as uint8 ``[n, C, H, W]`` in the order of ``paths``, and their places among them.

    Args:
        paths: the files.
        how: mode and resize policy.
        name: the set's name, for messages.
        on_damage: ``"skip"`` leaves out what is no whole picture, and the log names it; else all are there.

    Raises:
        DataError: if one is damaged, or with ``"skip"`` all are; if sizes differ and no resize policy is set.
    """
    reader = _Reader(paths, how, skip=on_damage == "skip")
    like, first = reader.first(name)
    try:
        images: Images = np.empty((len(paths), *first.shape), dtype=np.uint8)
    except MemoryError as error:
        side = "x".join(map(str, first.shape))
        raise DataError(
            f"{name}: {len(paths):,} images {side} need {len(paths) * first.size / 2**30:.1f} GiB of memory",
            "set source.size and source.resize, or source.rows, or data.decode=stream",
        ) from error

    def decode(start: int) -> int:
        stop = min(start + _CHUNK, len(paths))
        for index in range(start, stop):
            if (pixels := reader.whole(index)) is None:
                continue
            if pixels.shape != first.shape:
                raise other_size(name, paths[index], pixels, like, first.shape)
            images[index] = pixels
        return stop - start

    threads = min(MOST_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool, ticking(f"decoding {name}", len(paths), "images") as ticker:
        try:
            for done in pool.map(decode, range(0, len(paths), _CHUNK)):
                ticker.advance(done)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for index in sorted(reader.damaged):
        _log.warning("%s: left out: %s", name, reader.damaged[index])
    rows = [index for index in range(len(paths)) if index not in reader.damaged]
    return (images[rows] if reader.damaged else images), rows
