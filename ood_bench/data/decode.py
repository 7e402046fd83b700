"""From image files to one uint8 array: decoding in parallel, and every resize policy by its name."""

import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from ood_bench.data.download import is_web_page
from ood_bench.data.imageset import Images
from ood_bench.errors import DataError
from ood_bench.utils.progress import ticking

Resize = Literal["none", "squash", "short_side_crop", "center_crop", "random_crop"]
Mode = Literal["RGB", "L"]
_CHUNK = 128
_MOST_THREADS = 16
_POLICIES = "squash, short_side_crop, center_crop or random_crop"


@dataclass(frozen=True)
class Decoding:
    """How a picture becomes an array; the only filter is PIL's bilinear one, which averages when it shrinks.

    Attributes:
        mode: ``"RGB"`` or ``"L"``; others are converted (grey repeated, CMYK and palettes to RGB, alpha dropped).
        resize: ``"none"`` leaves the size; ``"squash"`` resizes both sides; ``"short_side_crop"`` resizes the shorter
            side, then cuts the centre; ``"center_crop"`` and ``"random_crop"`` only cut.
        size: height and width after resizing; none for ``"none"``.
        seed: seed of random crops.
    """

    mode: Mode = "RGB"
    resize: Resize = "none"
    size: tuple[int, int] | None = None
    seed: int = 0

    def __str__(self) -> str:
        if self.size is None:
            return ""
        area = f"{self.size[0]}×{self.size[1]}"
        return {
            "none": "",
            "squash": f"squashed to {area}, PIL bilinear",
            "short_side_crop": f"short side to {min(self.size)}, PIL bilinear, centre {area}",
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
        DataError: if the file is no whole picture, is smaller than a crop, or has more than 8 bits a channel.
    """
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as opened:
            picture = _resized(_converted(opened, how.mode), index, how)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        page = " (a web page was saved under this name)" if path.is_file() and is_web_page(path.read_bytes()) else ""
        raise DataError(f"{path}: not a whole picture{page}: {error}") from error
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    pixels = np.asarray(picture)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _converted(picture: Image.Image, mode: Mode) -> Image.Image:
    if picture.mode.startswith(("I", "F")):
        raise DataError(f"pixels of mode {picture.mode}; convert the file to 8 bits a channel")
    return picture.convert(mode)


def _resized(picture: Image.Image, index: int, how: Decoding) -> Image.Image:
    if how.resize == "none" or how.size is None:
        return picture
    from torchvision.transforms.v2 import functional  # noqa: PLC0415 - takes seconds to import

    height, width = how.size
    if how.resize in ("squash", "short_side_crop"):
        picture = functional.resize(picture, [height, width] if how.resize == "squash" else [min(how.size)])
    spare_across, spare_down = picture.width - width, picture.height - height
    if spare_across < 0 or spare_down < 0:
        raise DataError(f"{picture.height}x{picture.width} is smaller than the crop {height}x{width}; use squash")
    if how.resize == "random_crop":
        draw = np.random.Generator(np.random.Philox(key=np.array([how.seed, index], dtype=np.uint64)))
        top, left = (int(draw.integers(spare + 1)) for spare in (spare_down, spare_across))
        return picture.crop((left, top, left + width, top + height))
    centre: Image.Image = functional.center_crop(picture, [height, width])
    return centre


def decode_files(paths: Sequence[Path], how: Decoding, name: str) -> Images:
    """All pictures as uint8 ``[N, C, H, W]``, in the order of ``paths``.

    Raises:
        DataError: if one is corrupt, or their sizes differ and no resize policy is set.
    """
    first = decode_file(paths[0], 0, how)
    images: Images = np.empty((len(paths), *first.shape), dtype=np.uint8)

    def decode(start: int) -> int:
        stop = min(start + _CHUNK, len(paths))
        for index in range(start, stop):
            pixels = decode_file(paths[index], index, how)
            if pixels.shape != first.shape:
                raise DataError(
                    f"{name}: {paths[index]} is {pixels.shape[1]}x{pixels.shape[2]} but {paths[0].name} is "
                    f"{first.shape[1]}x{first.shape[2]}; set source.size and source.resize ({_POLICIES})"
                )
            images[index] = pixels
        return stop - start

    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool, ticking(f"decoding {name}", len(paths), "images") as ticker:
        try:
            for done in pool.map(decode, range(0, len(paths), _CHUNK)):
                ticker.advance(done)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return images
