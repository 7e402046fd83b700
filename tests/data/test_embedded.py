import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.datasets import load_digits, load_sample_image

from ood_bench.data.embedded import Digits, PhotoPatches, shrunken_photo, stratified_split
from ood_bench.errors import ConfigError


@given(hnp.arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 4)), st.sampled_from([0.2, 0.4, 0.5]))
def test_a_split_shares_every_class(labels, fraction):
    train, test = stratified_split(labels, fraction, 0)
    assert sorted([*train, *test]) == list(range(len(labels)))
    for label in np.unique(labels):
        assert (labels[test] == label).sum() == round((labels == label).sum() * fraction)


def test_digits_are_scikit_learns(tmp_path):
    bundle = load_digits()
    found = Digits(name="digits").read(tmp_path)
    np.testing.assert_array_equal(found.images[:, 0], np.rint(bundle.images * 255 / 16))
    np.testing.assert_array_equal(found.labels, bundle.target)
    assert (found.images.min(), found.images.max()) == (0, 255)


def test_parts_and_held_out_classes_are_disjoint(tmp_path):
    kept = tuple(range(8))
    parts = [Digits(name="d", classes=kept, split=split).read(tmp_path) for split in ("train", "test")]
    held = Digits(name="d", classes=(9, 8)).read(tmp_path)
    assert [len(part) for part in (*parts, held)] == [866, 577, 354]
    assert held.labels is not None
    assert held.class_names == ("9", "8")
    assert set(held.labels.tolist()) == {0, 1}
    bundle = load_digits()
    assert (held.labels == 0).sum() == (bundle.target == 9).sum()
    images = [image.tobytes() for part in (*parts, held) for image in part.images]
    whole = {image.tobytes() for image in Digits(name="d").read(tmp_path).images}
    assert set(images) == whole
    assert not set(images[:866]) & set(images[866:])


def test_the_split_does_not_depend_on_the_classes(tmp_path):
    some = Digits(name="d", classes=(3,), split="test").read(tmp_path)
    every = Digits(name="d", split="test").read(tmp_path)
    np.testing.assert_array_equal(some.images, every.images[every.labels == 3])


@pytest.mark.parametrize("classes", [(), (1, 1)])
def test_senseless_classes_are_refused(classes):
    with pytest.raises(ConfigError, match="classes"):
        Digits(name="d", classes=classes)


def test_shrinking_averages_blocks():
    photo = load_sample_image("china.jpg").astype(float)
    blocks = photo[:424, :640].reshape(53, 8, 80, 8, 3).mean(axis=(1, 3))
    assert np.abs(shrunken_photo("china.jpg", 3, 8)[:53] - blocks).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32)])
def test_patches_are_cut_out_and_never_repeat(tmp_path, shape):
    found = PhotoPatches(name="p", image="flower", shape=shape, count=200).read(tmp_path)
    photo = shrunken_photo("flower.jpg", shape[0], 8).transpose(2, 0, 1)
    windows = np.lib.stride_tricks.sliding_window_view(photo, shape)[0].reshape(-1, *shape)
    where = {window.tobytes(): number for number, window in enumerate(windows)}
    assert len({where[image.tobytes()] for image in found.images}) == 200


def test_fewer_patches_are_the_first_of_the_same(tmp_path):
    few, many = (PhotoPatches(name="p", image="china", shape=(1, 8, 8), count=n).read(tmp_path) for n in (5, 50))
    np.testing.assert_array_equal(few.images, many.images[:5])


def test_both_photographs_take_turns(tmp_path):
    china, flower, both = (
        PhotoPatches(name="p", image=image, shape=(3, 8, 8), count=count).read(tmp_path).images
        for image, count in (("china", 4), ("flower", 3), ("both", 7))
    )
    np.testing.assert_array_equal(both[::2], china)
    np.testing.assert_array_equal(both[1::2], flower)


def test_patches_are_not_flat(tmp_path):
    for image in ("china", "flower"):
        found = PhotoPatches(name="p", image=image, shape=(1, 8, 8), count=500).read(tmp_path).images
        assert np.median(found.reshape(500, -1).std(axis=1)) > 10


@pytest.mark.parametrize("settings", [{"count": 10**6}, {"shrink": 60}])
def test_impossible_patches_are_refused(tmp_path, settings):
    with pytest.raises(ConfigError, match="p: china"):
        PhotoPatches(name="p", image="china", shape=(1, 8, 8), **settings).read(tmp_path)
