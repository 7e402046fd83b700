import numpy as np
import pytest

from ood_bench.data.image_store import ImageStore
from ood_bench.data.sources import build_source
from ood_bench.errors import ConfigError, DataError


@pytest.fixture
def root(tmp_path, pixels, write_image):
    """Two class folders with two pictures each, and one flat folder."""
    for seed, name in enumerate(["one/a/0.png", "one/b/0.png", "two/a/0.png", "two/b/0.png", "flat/0.png"]):
        write_image(tmp_path / name, pixels(6, 6, 3, seed=seed))
    return tmp_path


def joined(**parts):
    nodes = {name: {"kind": "folder", "path": name, "layout": "classes", **changed} for name, changed in parts.items()}
    return build_source({"kind": "joined", "parts": nodes}, name="whole", variant="OpenOOD")


def test_parts_follow_each_other_under_one_name(root):
    one, two = (joined(**{name: {}}).read(root) for name in ("one", "two"))
    both = joined(two={}, one={}).read(root)
    np.testing.assert_array_equal(both.images, np.concatenate([two.images, one.images]))
    assert both.labels.tolist() == [0, 1, 0, 1]
    assert both.title == "whole (OpenOOD)"
    smaller = {"resize": "center_crop", "size": 4}
    assert joined(one=smaller, two=smaller).full_variant == "OpenOOD; centre 4×4"
    assert joined(one={}, two=smaller).full_variant == "OpenOOD + OpenOOD; centre 4×4"


def test_a_stream_gives_the_same_pixels_and_labels(root):
    parts = {"two": {"resize": "center_crop", "size": 4}, "one": {"resize": "squash", "size": 4}}
    stored, streamed = joined(**parts).read(root), joined(**parts).stream(root)
    np.testing.assert_array_equal(streamed.images[np.arange(4)], stored.images)
    np.testing.assert_array_equal(streamed.images.take(np.array([3, 0]))[0:2], stored.images[[3, 0]])
    assert (streamed.labels.tolist(), streamed.title) == (stored.labels.tolist(), stored.title)
    with pytest.raises(DataError, match="its parts have images of 3x4x4 and 3x6x6"):
        joined(two=parts["two"], one={}).stream(root)


def test_without_labels_of_every_part_there_are_none(root):
    assert joined(one={}, flat={"layout": "flat"}).read(root).labels is None


def test_parts_of_other_sizes_are_refused(root):
    with pytest.raises(DataError, match="its parts have images of 3x4x4 and 3x6x6: set one size"):
        joined(one={}, two={"resize": "center_crop", "size": 4}).read(root)


def test_whatever_changes_in_a_part_makes_another_set(root, pixels, write_image):
    store = ImageStore(root / "store")
    prints = [
        store.open(joined(**parts), root).fingerprint for parts in ({"one": {}, "two": {}}, {"two": {}, "one": {}})
    ]
    write_image(root / "two/b/0.png", pixels(6, 6, 3, seed=9))
    prints.append(store.open(joined(one={}, two={}), root).fingerprint)
    assert len(set(prints)) == 3


def test_missing_and_unknown_parts_are_named(root):
    source = joined(one={}, three={}, four={})
    assert f"folder {root}/three is missing; folder {root}/four is missing; no mirror" in source.missing(root)
    with pytest.raises(ConfigError, match="source of whole: kind is 'foldr'"):
        joined(one={"kind": "foldr"}).missing(root)
    with pytest.raises(ConfigError, match="parts"):
        build_source({"kind": "joined", "parts": {}}, name="whole")
