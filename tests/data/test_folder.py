import os
import random

import numpy as np
import pytest

from ood_bench.data.folder import FolderSource
from ood_bench.errors import ConfigError, DataError


@pytest.fixture
def classes(tmp_path, write_image):
    """Three classes whose file names are rows; the red value is the row."""
    for row, owner in enumerate(["dog", "cat", "emu", "cat", "dog", "cat", "emu", "dog", "cat", "emu", "cat", "dog"]):
        write_image(tmp_path / f"set/{owner}/{row}.png", np.full((4, 4, 3), row, np.uint8))
    (tmp_path / "set/cat/.hidden.png").write_bytes(b"not a picture")
    (tmp_path / "set/cat/._0.png").write_bytes(b"not a picture")
    (tmp_path / "set/notes.txt").write_text("hello")
    (tmp_path / "set/cover.png").write_bytes(b"in no class")
    return tmp_path


def rows_of(found):
    return found.images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize(
    ("order", "rows"),
    [
        ("path", [1, 10, 3, 5, 8, 0, 11, 4, 7, 2, 6, 9]),
        ("natural", [1, 3, 5, 8, 10, 0, 4, 7, 11, 2, 6, 9]),
        ("filename", [0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9]),
    ],
)
def test_orders_and_labels(classes, order, rows):
    found = FolderSource(name="x", path="set", layout="classes", order=order).read(classes)
    assert rows_of(found) == rows
    assert found.class_names == ("cat", "dog", "emu")
    assert found.labels is not None
    owners = ["dog", "cat", "emu", "cat", "dog", "cat", "emu", "dog", "cat", "emu", "cat", "dog"]
    assert [found.class_names[label] for label in found.labels] == [owners[row] for row in rows]


def test_flat_and_tree(classes):
    with pytest.raises(DataError, match=r"cover\.png: not a whole picture"):
        FolderSource(name="x", path="set", layout="flat").read(classes)
    (classes / "set/cover.png").unlink()
    with pytest.raises(DataError, match="no image files directly in"):
        FolderSource(name="x", path="set", layout="flat").read(classes)
    found = FolderSource(name="x", path="set", layout="tree").read(classes)
    assert found.labels is None
    assert rows_of(found) == [1, 10, 3, 5, 8, 0, 11, 4, 7, 2, 6, 9]


def test_include_and_rows(classes):
    found = FolderSource(name="x", path="set", layout="classes", include="*/1*.png", rows=(1, 3)).read(classes)
    assert rows_of(found) == [10, 11]
    assert found.title == "x (rows 1 to 2)"
    with pytest.raises(DataError, match="which holds 3 images"):
        FolderSource(name="x", path="set", layout="classes", include="*/1*.png", rows=(1, 4)).read(classes)
    with pytest.raises(DataError, match="match 'q"):
        FolderSource(name="x", path="set", layout="classes", include="q*").read(classes)


def test_the_count_is_held_to(classes):
    assert len(FolderSource(name="x", path="set", layout="classes", count=12).read(classes)) == 12
    with pytest.raises(DataError, match="12 images, not 13: incomplete"):
        FolderSource(name="x", path="set", layout="classes", count=13).identity(classes)


@pytest.mark.parametrize(
    ("settings", "variant"),
    [
        ({}, "as found"),
        ({"resize": "squash", "size": 2}, "as found; squashed to 2×2, PIL bilinear"),
        ({"resize": "center_crop", "size": (2, 3)}, "as found; centre 2×3"),
        ({"resize": "random_crop", "size": 2, "crop_seed": 4}, "as found; random 2×2 crop, seed 4"),
        ({"resize": "short_side_crop", "size": 2}, "as found; short side to 2, PIL bilinear, centre 2×2"),
    ],
)
def test_resizing_shows_in_the_variant_and_the_identity(classes, settings, variant):
    plain = FolderSource(name="x", path="set", layout="classes", variant="as found")
    source = FolderSource(name="x", path="set", layout="classes", variant="as found", **settings)
    assert source.read(classes).variant == variant
    assert (source.identity(classes) == plain.identity(classes)) == (not settings)


@pytest.mark.parametrize("settings", [{"resize": "squash"}, {"size": 32}, {"rows": (3, 3)}, {"rows": (-1, 2)}])
def test_senseless_settings_are_refused(settings):
    with pytest.raises(ConfigError, match="x: "):
        FolderSource(name="x", path="set", layout="flat", **settings)


def test_a_sample_is_drawn_from_the_sorted_files_by_pythons_generator(classes):
    whole = FolderSource(name="x", path="set", layout="classes")
    drawn = FolderSource(name="x", path="set", layout="classes", sample=5, sample_seed=3)
    random.seed(3)
    rows = random.sample(range(12), 5)
    np.testing.assert_array_equal(drawn.read(classes).images, whole.read(classes).images[rows])
    assert drawn.full_variant == "5 drawn with Python's seed 3"
    assert drawn.identity(classes) != whole.identity(classes)
    assert not {"sample", "sample_seed"} & set(whole.parameters()), "what is in stores already keeps its key"
    with pytest.raises(DataError, match=r"a sample of 13 from .*, which holds 12"):
        FolderSource(name="x", path="set", layout="classes", sample=13).read(classes)
    with pytest.raises(ConfigError, match="rows and sample cannot be set together"):
        FolderSource(name="x", path="set", layout="classes", sample=3, rows=(0, 3))


def test_identity_follows_every_file(classes):
    source = FolderSource(name="x", path="set", layout="classes")
    seen = [source.identity(classes)]
    os.utime(classes / "set/dog/0.png", ns=(1, 1))
    seen.append(source.identity(classes))
    (classes / "set/dog/0.png").rename(classes / "set/dog/00.png")
    seen.append(source.identity(classes))
    (classes / "set/dog/00.png").unlink()
    seen.append(source.identity(classes))
    assert all(one != other for index, one in enumerate(seen) for other in seen[:index])
    assert source.identity(classes) == seen[-1]


def test_a_missing_folder_is_named(tmp_path):
    source = FolderSource(name="x", path="set", layout="flat", by_hand="ask the author")
    with pytest.raises(DataError, match=r"folder .*set is missing.*ask the author"):
        source.identity(tmp_path)
    with pytest.raises(DataError, match="is missing"):
        source.read(tmp_path)


def test_a_real_subset_is_in_the_official_order(real_data):
    settings = {"path": "cifar100-png-subset/test", "layout": "classes", "order": "filename", "count": 916}
    found = FolderSource(name="cifar100", **settings).read(real_data("cifar100-png-subset"))
    assert found.images.shape == (916, 3, 32, 32)
    assert found.labels is not None
    assert found.labels[:10].tolist() == [49, 33, 72, 51, 71, 92, 15, 14, 23, 0]  # as in the official test file
