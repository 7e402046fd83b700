"""Thumbnails by hand: which images they are of, and how large."""

import base64
import io

import numpy as np
from PIL import Image

from ood_bench.data.imageset import ImageSet
from ood_bench.results.details import details_of
from ood_bench.results.thumbnails import COLUMNS, thumbnails

KEY = "0123456789abcdef"


def images(name, count, channels=1, size=8):
    """Image ``i`` is filled with the value ``i``."""
    pixels = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, channels, size, size))
    return ImageSet.of(name, pixels.copy())


def test_the_outermost_images_are_found_by_row_number():
    rows = np.array([9, 3, 7, 5, 1, 0, 2, 4]), np.array([8, 6, 4, 2, 0, 1, 3, 5])
    scores = np.array([5.0, 1, 5, 3, 2, 0, -1, 7]), np.arange(8.0)
    sets = images("a", 10), images("b", 10)
    sheet = thumbnails(scores, sets, rows)
    groups = {(group.side, group.end): group for group in sheet.groups}
    assert groups["id", "highest"].rows == [4, 9, 7, 5, 1, 3]
    assert groups["id", "highest"].scores == [7, 5, 5, 3, 2, 1]
    assert groups["id", "lowest"].rows == [2, 0, 3, 1, 5, 9]
    assert groups["ood", "lowest"].rows == [8, 6, 4, 2, 0, 1]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet.content))))
    assert (sheet.kind, picture.shape) == ("png", (4 * 8, COLUMNS * 8))
    assert picture[::8, ::8].tolist() == [group.rows for group in sheet.groups]


def test_large_colour_images_become_small():
    random = np.random.default_rng(0)
    sets = [ImageSet.of(name, random.integers(0, 256, (9, 3, 64, 48), dtype=np.uint8)) for name in "ab"]
    scores, rows = np.arange(9.0), np.arange(9)
    details = details_of(KEY, (scores, scores), tuple(sets), (rows, rows))
    sheet = details.images
    assert (sheet.kind, sheet.width, sheet.height) == ("jpeg", 24, 32)
    assert len(details.to_json()) < 40_000


def test_colours_and_places_of_oblong_images():
    """Image ``i`` is red, the more the higher ``i``."""
    pixels = np.zeros((9, 3, 64, 48), dtype=np.uint8)
    pixels[:, 0] = 25 * np.arange(9)[:, None, None]
    sets, rows = (ImageSet.of("a", pixels), ImageSet.of("b", pixels)), np.arange(9)
    sheet = thumbnails((np.arange(9.0), np.append(np.arange(8.0), np.inf)), sets, (rows, rows))
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet.content)))).astype(int)
    middles = picture[16::32, 12::24]
    np.testing.assert_allclose(middles[:, :, 0], [[25 * row for row in group.rows] for group in sheet.groups], atol=9)
    assert middles[:, :, 1:].max() < 9
    assert sheet.groups[2].scores == [None, 7, 6, 5, 4, 3]


def test_without_row_numbers_there_are_no_images():
    sets, scores = (images("a", 10), images("b", 10)), (np.arange(10.0), np.arange(10.0))
    assert details_of(KEY, scores, sets, (None, np.arange(10))).images is None
