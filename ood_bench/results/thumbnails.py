"""Makes a cell's details from its scores: a histogram, thinned curves, and thumbnails of the extreme images."""

import base64
import io
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from ood_bench.data.imageset import ImageSet, Rows
from ood_bench.data.views import Array
from ood_bench.metrics.curve import Curve
from ood_bench.results.details import Details, Extreme, Histogram, Line, Sheet

BINS = 64
POINTS = 100
COLUMNS = 6
_TAIL = 0.1
_TILE = 32
_QUALITY = 85
_SCORE_DIGITS = 6
_PLACES = 4
_Pixels = npt.NDArray[np.uint8]
_SIDES: Final[tuple[Literal["id", "ood"], ...]] = ("id", "ood")
_ENDS: Final[tuple[Literal["highest", "lowest"], ...]] = ("highest", "lowest")


def details_of(
    cell_key: str,
    scores: tuple[Array, Array],
    sets: tuple[ImageSet, ImageSet],
    rows: tuple[Rows | None, Rows | None],
) -> Details:
    """Everything that a page draws of a cell.

    Args:
        cell_key: the cell's key.
        scores: float64 ``[n_id]`` and ``[n_ood]``, higher means more in-distribution.
        sets: the whole ID test set and the whole OOD set.
        rows: int64 row numbers in those sets, one for each score; no thumbnails are made where either is none.

    Raises:
        MetricError: if the scores cannot be ranked.
    """
    curve = Curve.of(*scores)
    id_rows, ood_rows = rows
    images = None if id_rows is None or ood_rows is None else _sheet(scores, sets, (id_rows, ood_rows))
    return Details(
        cell_key=cell_key,
        histogram=histogram(*scores),
        roc=roc(curve),
        pr_in=precision_recall(curve),
        pr_out=precision_recall(curve.flipped()),
        images=images,
    )


def histogram(id_scores: Array, ood_scores: Array) -> Histogram:
    """Both sides in 64 bins between the pooled 0.1 and 99.9 percentiles, so that no outlier flattens the rest."""
    pooled = np.concatenate((id_scores, ood_scores))
    finite = pooled[np.isfinite(pooled)]
    low, high = np.percentile(finite, (_TAIL, 100 - _TAIL)) if finite.size else (0.0, 1.0)
    if not low < high:
        room = max(0.5, abs(low) * 1e-9)
        low, high = low - room, high + room
    counts = [_binned(side, float(low), float(high)) for side in (id_scores, ood_scores)]
    return Histogram(low=float(low), high=float(high), id=counts[0], ood=counts[1])


def _binned(scores: Array, low: float, high: float) -> list[int]:
    """Rows in each bin; rounding may put a score at an edge into either neighbour, which no picture shows."""
    place = (np.clip(scores, low, high) - low) / (high - low) * BINS
    counts: list[int] = np.bincount(np.minimum(place.astype(np.int64), BINS - 1), minlength=BINS).tolist()
    return counts


def roc(curve: Curve) -> Line:
    """About 100 points of the ROC curve, evenly spaced along it; every one lies on the exact curve."""
    fpr = np.concatenate(([0], curve.fp)) / curve.n_ood
    tpr = np.concatenate(([0], curve.tp)) / curve.n_id
    return _thinned(fpr, tpr, (fpr + tpr) / 2)


def precision_recall(curve: Curve) -> Line:
    """About 100 points of precision over recall, evenly spaced in recall."""
    start = int(np.searchsorted(curve.tp, 1))
    recall = curve.tp[start:] / curve.n_id
    precision = curve.tp[start:] / (curve.tp[start:] + curve.fp[start:])
    return _thinned(recall, precision, recall)


def _thinned(x: Array, y: Array, along: Array) -> Line:
    """Points at even steps of ``along``, which grows from the first to the last."""
    wanted = np.searchsorted(along, np.linspace(along[0], along[-1], POINTS))
    index = np.unique(np.append(wanted, len(along) - 1))
    return Line(x=np.round(x[index], _PLACES).tolist(), y=np.round(y[index], _PLACES).tolist())


def _sheet(scores: tuple[Array, Array], sets: tuple[ImageSet, ImageSet], rows: tuple[Rows, Rows]) -> Sheet:
    groups, lines = [], []
    shape = _tile_shape(sets[0])
    for side, values, images, numbers in zip(_SIDES, scores, sets, rows, strict=True):
        for end in _ENDS:
            chosen = _outermost(values, end)
            kept = [_rounded(values[index]) for index in chosen]
            groups.append(Extreme(side=side, end=end, rows=numbers[chosen].tolist(), scores=kept))
            lines.append([_tile(images.images[int(row)], shape) for row in numbers[chosen]])
    kind, content = _picture(lines, shape)
    width, height = shape
    return Sheet(kind=kind, width=width, height=height, columns=COLUMNS, groups=groups, content=content)


def _outermost(values: Array, end: str) -> npt.NDArray[np.int64]:
    """Positions of the most extreme scores, the outermost first, the earlier row first among equals."""
    order = np.argsort(-values if end == "highest" else values, kind="stable")
    return order[:COLUMNS]


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
