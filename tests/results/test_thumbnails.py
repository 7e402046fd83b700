"""What a page draws of a cell, against the full curves and by hand."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import precision_recall_curve, roc_curve

from ood_bench.data.imageset import ImageSet
from ood_bench.metrics.curve import Curve
from ood_bench.results.thumbnails import BINS, COLUMNS, details_of, histogram, precision_recall, roc

KEY = "0123456789abcdef"


@pytest.fixture
def scores():
    random = np.random.default_rng(0)
    return random.normal(1, 1, 700).round(2), random.normal(0, 1, 500).round(2)


def images(name, count, channels=1, size=8):
    """Image ``i`` is filled with the value ``i``."""
    pixels = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, channels, size, size))
    return ImageSet.of(name, pixels.copy())


def truth(scores):
    return np.repeat([1, 0], [len(side) for side in scores]), np.concatenate(scores)


def test_every_roc_point_lies_on_the_exact_curve_and_few_are_left(scores):
    line = roc(Curve.of(*scores))
    fpr, tpr, _ = roc_curve(*truth(scores), drop_intermediate=False)
    exact = {(round(x, 4), round(y, 4)) for x, y in zip(fpr, tpr, strict=True)}
    assert set(zip(line.x, line.y, strict=True)) <= exact
    assert (line.x[0], line.y[0], line.x[-1], line.y[-1]) == (0, 0, 1, 1)
    assert 50 < len(line.x) <= 101
    assert np.trapezoid(line.y, line.x) == pytest.approx(np.trapezoid(tpr, fpr), abs=2e-3)


def test_precision_over_recall_is_scikit_learns(scores):
    for curve, labels, values in (
        (Curve.of(*scores), *truth(scores)),
        (Curve.of(*scores).flipped(), 1 - truth(scores)[0], -truth(scores)[1]),
    ):
        precision, recall, _ = precision_recall_curve(labels, values)
        exact = {(round(x, 4), round(y, 4)) for x, y in zip(recall, precision, strict=True)}
        line = precision_recall(curve)
        assert set(zip(line.x, line.y, strict=True)) <= exact
        assert line.x[-1] == 1


def test_the_histogram_counts_every_row_and_no_outlier_flattens_it(scores):
    found = histogram(np.append(scores[0], [np.inf, 1e9]), np.append(scores[1], -np.inf))
    assert len(found.id) == len(found.ood) == BINS
    assert (sum(found.id), sum(found.ood)) == (702, 501)
    assert -5 < found.low < found.high < 6
    assert found.id[-1] >= 2


@pytest.mark.parametrize("value", [0.0, 3.5, -1e300, np.inf])
def test_equal_scores_still_have_a_histogram(value):
    found = histogram(np.full(3, value), np.full(2, value))
    assert found.low < found.high
    assert (sum(found.id), sum(found.ood)) == (3, 2)


def test_the_outermost_images_are_found_by_row_number():
    rows = np.array([9, 3, 7, 5, 1, 0, 2, 4]), np.array([8, 6, 4, 2, 0, 1, 3, 5])
    scores = np.array([5.0, 1, 5, 3, 2, 0, -1, 7]), np.arange(8.0)
    sets = images("a", 10), images("b", 10)
    sheet = details_of(KEY, scores, sets, rows).images
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


def test_without_row_numbers_there_are_no_images(scores):
    sets = images("a", 10), images("b", 10)
    assert details_of(KEY, scores, sets, (None, np.arange(500))).images is None
