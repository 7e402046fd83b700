import hashlib

import numpy as np
import pytest
import torch

from ood_bench.data.views import View


@pytest.fixture
def images(toys):
    return toys.image_set("near", 20)


def test_batches_follow_the_rows(images):
    rows = np.array([4, 0, 19, 4, 7])
    batches = list(View(images, rows).batches(2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert all(batch.dtype == torch.uint8 for batch in batches)
    np.testing.assert_array_equal(torch.cat(batches).numpy(), images.images[rows])
    np.testing.assert_array_equal(torch.cat(list(View(images).batches(7))).numpy(), images.images)
    assert (len(View(images, rows)), len(View(images))) == (5, 20)


def test_batches_are_copies(images):
    before = images.images.copy()
    for batch in View(images).batches(8):
        batch.zero_()
    np.testing.assert_array_equal(images.images, before)


def test_fingerprints_name_pixels_rows_and_order(images, toys):
    views = [
        View(images),
        View(images, np.arange(20)),
        View(images, np.arange(19)),
        View(images, np.arange(20)[::-1]),
        View(toys.image_set("near", 20, seed=1)),
    ]
    assert len({view.fingerprint for view in views}) == 5
    rows = np.array([2, 0])
    expected = hashlib.sha256(np.array([2, 0], dtype="<i8").tobytes()).hexdigest()[:16]
    assert View(images, rows).fingerprint == f"{images.fingerprint}-{expected}"


def test_a_view_picks_its_rows_of_an_array(images):
    whole = np.arange(40, dtype=np.float32).reshape(20, 2)
    np.testing.assert_array_equal(View(images, np.array([3, 1])).of(whole), [[6, 7], [2, 3]])
    assert View(images).of(whole) is whole
