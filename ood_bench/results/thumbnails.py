"""Thumbnails of the images with the highest and lowest scores, as one picture."""

import base64
import io
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from ood_bench.data.imageset import Array, ImageSet, Rows
from ood_bench.results.schema import Count, Part, Text

COLUMNS = 6
_TILE = 32
_QUALITY = 85
_SCORE_DIGITS = 6
_Pixels = npt.NDArray[np.uint8]
_SIDES: Final[tuple[Literal["id", "ood"], ...]] = ("id", "ood")
_ENDS: Final[tuple[Literal["highest", "lowest"], ...]] = ("highest", "lowest")


class Extreme(Part, frozen=True):
    """Images at one end of one set's scores, the outermost first.

    Attributes:
        side: whose images.
        end: ``"highest"`` or ``"lowest"`` scores.
        rows: row numbers in the whole set.
        scores: their scores.
    """

    side: Literal["id", "ood"]
    end: Literal["highest", "lowest"]
    rows: list[Count]
    scores: list[float | None]


class Thumbnails(Part, frozen=True):
    """Thumbnails in one picture: a line of tiles for each group, in the order of ``groups``.

    Attributes:
        kind: ``"png"`` or ``"jpeg"``.
        width: of a tile, pixels.
        height: of a tile, pixels.
        columns: tiles a line.
        groups: what the lines show.
        content: the picture in base64.
    """

    kind: Literal["png", "jpeg"]
    width: Count
    height: Count
    columns: Count
    groups: list[Extreme]
    content: Text


def thumbnails(scores: tuple[Array, Array], sets: tuple[ImageSet, ImageSet], rows: tuple[Rows, Rows]) -> Thumbnails:
    """The six images at each end of both sets' scores.

    Args:
        scores: float64 ``[n_id]`` and ``[n_ood]``.
        sets: the whole ID test set and the whole OOD set.
        rows: int64 row numbers in those sets, one for each score.
    """
    groups, lines = [], []
    shape = _tile_shape(sets[0])
    for side, values, images, numbers in zip(_SIDES, scores, sets, rows, strict=True):
        for end in _ENDS:
            # stable: the earlier row first among equals
            chosen = np.argsort(-values if end == "highest" else values, kind="stable")[:COLUMNS]
            kept = [_rounded(values[index]) for index in chosen]
            groups.append(Extreme(side=side, end=end, rows=numbers[chosen].tolist(), scores=kept))
            lines.append([_tile(images.images[int(row)], shape) for row in numbers[chosen]])
    kind, content = _picture(lines, shape)
    width, height = shape
    return Thumbnails(kind=kind, width=width, height=height, columns=COLUMNS, groups=groups, content=content)


def _rounded(score: float) -> float | None:
    """A score with six digits; none for an infinity, which JSON cannot hold."""
    return float(f"{score:.{_SCORE_DIGITS}g}") if np.isfinite(score) else None


def _tile_shape(images: ImageSet) -> tuple[int, int]:
    """Width and height of a tile: those of the images, or scaled down to fit 32 pixels."""
    _, height, width = images.shape
    scale = min(1.0, _TILE / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _tile(image: _Pixels, shape: tuple[int, int]) -> Image.Image:
    """One image ``[C, H, W]`` as a tile of ``shape``."""
    pixels = image[0] if len(image) == 1 else np.moveaxis(image[:3], 0, -1)
    tile = Image.fromarray(np.ascontiguousarray(pixels))
    return tile if tile.size == shape else tile.resize(shape, Image.Resampling.BOX)


def _picture(lines: Sequence[Sequence[Image.Image]], shape: tuple[int, int]) -> tuple[Literal["png", "jpeg"], str]:
    """All tiles in one picture, in base64: PNG for grey images, JPEG for colour, where PNG would be far larger."""
    colour = any(tile.mode != "L" for line in lines for tile in line)
    width, height = shape
    whole = Image.new("RGB" if colour else "L", (COLUMNS * width, len(lines) * height))
    for top, line in enumerate(lines):
        for left, tile in enumerate(line):
            whole.paste(tile.convert(whole.mode), (left * width, top * height))
    buffer = io.BytesIO()
    if colour:
        whole.save(buffer, "JPEG", quality=_QUALITY)
    else:
        whole.save(buffer, "PNG", optimize=True)
    return "jpeg" if colour else "png", base64.b64encode(buffer.getvalue()).decode()
