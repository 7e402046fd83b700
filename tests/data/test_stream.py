import os

import numpy as np
import pytest

from ood_bench.data.folder import FolderSource
from ood_bench.data.image_store import ImageStore
from ood_bench.data.limit import limited
from ood_bench.data.noise import Noise
from ood_bench.data.stream import StreamedImages, stream_of
from ood_bench.data.views import View
from ood_bench.errors import DataError


@pytest.fixture
def folder(tmp_path, write_image):
    """Two classes of 9 x 7 pictures, 5 and 8 of them; every pixel of a picture differs."""
    random = np.random.default_rng(0)
    for owner, count in (("cat", 5), ("dog", 8)):
        for row in range(count):
            write_image(tmp_path / f"set/{owner}/{row}.png", random.integers(0, 256, (9, 7, 3)).astype(np.uint8))
    return tmp_path


HOW = [
    {"layout": "tree"},
    {"layout": "classes", "resize": "squash", "size": 4},
    {"layout": "classes", "resize": "random_crop", "size": 3, "rows": (4, 11)},
    {"layout": "classes", "resize": "random_crop", "size": 3, "sample": 6, "mode": "L"},
]


@pytest.mark.parametrize("how", HOW)
def test_streamed_pictures_are_those_of_the_store(folder, how, tmp_path):
    source = FolderSource(name="x", path="set", **how)
    store = ImageStore(tmp_path / "store")
    stored, streamed = store.open(source, folder), store.open(source, folder, stream=True)
    assert stream_of(stored) is None
    assert streamed.images.shape == stored.images.shape
    np.testing.assert_array_equal(streamed.images[:], stored.images)
    np.testing.assert_array_equal(streamed.images[3], stored.images[3])
    np.testing.assert_array_equal(streamed.images[1:4], stored.images[1:4])
    assert streamed.variant == stored.variant
    assert streamed.class_names == stored.class_names
    assert (streamed.labels is None) == (stored.labels is None)
    order = np.random.default_rng(1).permutation(len(stored))
    for rows in (None, order, order[:5]):
        for size in (1, 2, 100):
            pairs = zip(View(streamed, rows).batches(size), View(stored, rows).batches(size), strict=True)
            assert all(np.array_equal(one, other) for one, other in pairs)


def test_nothing_is_stored_and_other_kinds_are_stored_as_ever(folder, tmp_path):
    store = ImageStore(tmp_path / "store")
    store.open(FolderSource(name="x", path="set", layout="tree"), folder, stream=True)
    assert not (tmp_path / "store").exists()
    found = store.open(Noise(name="n", recipe="uniform", count=3, shape=(3, 4, 4)), folder, stream=True)
    assert stream_of(found) is None


def test_the_fingerprint_follows_the_files(folder):
    source = FolderSource(name="x", path="set", layout="tree")
    first, again = source.stream(folder), source.stream(folder)
    assert first.fingerprint == again.fingerprint
    assert first.same_pixels(again)
    os.utime(folder / "set/cat/0.png", (1, 1))
    touched = source.stream(folder)
    assert touched.fingerprint != first.fingerprint
    assert touched.same_pixels(first)
    (folder / "set/cat/4.png").unlink()
    assert not source.stream(folder).same_pixels(first)


def test_what_is_wrong_with_a_picture_is_said_when_it_is_read(folder, write_image):
    write_image(folder / "set/dog/7.png", np.zeros((4, 4, 3), np.uint8))
    found = FolderSource(name="x", path="set", layout="tree").stream(folder)
    with pytest.raises(DataError, match=r"7\.png is 4x4 but 0\.png is 9x7; set source\.size"):
        list(View(found).batches(4))
    (folder / "set/dog/7.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"7\.png: not a whole picture: empty file"):
        list(View(found).batches(4))


def test_there_is_no_array_of_the_whole(folder):
    images = FolderSource(name="x", path="set", layout="tree").stream(folder).images
    assert isinstance(images, StreamedImages)
    with pytest.raises(TypeError, match=r"data\.decode=stream"):
        np.asarray(images)


@pytest.mark.parametrize("stream", [False, True])
def test_a_limited_set_is_even_over_classes_and_says_so(folder, stream):
    source = FolderSource(name="x", path="set", layout="classes", resize="random_crop", size=3)
    whole = source.stream(folder) if stream else source.read(folder)
    found = limited(whole, 7)
    assert found.labels.tolist() == [0, 0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(found.images[:], whole.images[:][[0, 1, 2, 3, 5, 6, 7]])
    assert found.variant == f"{whole.variant}; limited to 7 images"
    assert found.fingerprint != whole.fingerprint
    assert found.class_names == ("cat", "dog")
    assert limited(whole, 12).labels.tolist() == [0] * 5 + [1] * 7
    assert limited(whole, 13) is whole


def test_a_limited_set_without_labels_is_its_first_rows(folder):
    whole = FolderSource(name="x", path="set", layout="tree").read(folder)
    np.testing.assert_array_equal(limited(whole, 3).images, whole.images[:3])
    assert limited(whole, 3).variant == "limited to 3 images"
