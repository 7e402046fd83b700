import logging
import os
import random
import socket
from pathlib import Path

import numpy as np
import pytest

from ood_bench.data import walk
from ood_bench.data.folder import FolderSource, sort_key
from ood_bench.data.image_store import ImageStore
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


def test_one_folder_is_split_class_by_class_by_fraction_and_seed(classes, write_image):
    settings = {"name": "x", "path": "set", "layout": "classes", "test_fraction": 0.4}
    whole = rows_of(FolderSource(**settings).read(classes))
    train, test = (FolderSource(**settings, split=part).read(classes) for part in ("train", "test"))
    assert sorted(rows_of(train) + rows_of(test)) == sorted(whole)
    assert [test.class_names[label] for label in test.labels] == ["cat", "cat", "dog", "dog", "emu"]
    assert [row for row in whole if row in rows_of(test)] == rows_of(test), "parts keep the order of the whole"
    others = [FolderSource(**settings, split="test", split_seed=seed) for seed in range(1, 9)]
    assert any(rows_of(one.read(classes)) != rows_of(test) for one in others)
    assert test.variant == "test part, 40 % for testing, seed 0"
    write_image(classes / "set/ant/12.png", np.full((4, 4, 3), 12, np.uint8))
    assert rows_of(FolderSource(**settings, split="test").read(classes)) == rows_of(test), "a class more moves no image"
    plain = FolderSource(name="x", path="set", layout="classes").parameters()
    assert not {"split", "test_fraction", "split_seed"} & set(plain), "what is in stores already keeps its key"


def test_damaged_files_are_left_out_where_that_is_chosen_and_counted(classes, caplog):
    (classes / "set/cat/1.png").write_bytes(b"")
    (classes / "set/emu/9.png").write_bytes(b"some text")
    settings = {"name": "x", "path": "set", "layout": "classes"}
    with pytest.raises(DataError, match=r"cat/1\.png: not a whole picture: empty file: .*data\.on_damage=skip"):
        FolderSource(**settings).read(classes)
    source = FolderSource(**settings, on_damage="skip")
    for found in (source.read(classes), ImageStore(classes / "store").open(source, classes)):
        assert rows_of(found) == [10, 3, 5, 8, 0, 11, 4, 7, 2, 6]
        assert found.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 2
        assert (found.left_out, found.title) == (2, "x (2 damaged left out)")
    assert "x: left out: " in caplog.text
    assert "on_damage" not in FolderSource(**settings).parameters(), "what is in stores already keeps its key"


def test_labels_count_all_classes_that_are_there_not_those_drawn(tmp_path, write_image):
    for label in range(11):
        for row in range(2):
            write_image(tmp_path / f"set/{label:02d}/{row}.png", np.full((4, 4, 3), label, np.uint8))
    settings = {"name": "x", "path": "set", "layout": "classes"}
    for drawn in ({"sample": 6}, {"rows": (5, 9)}, {"include": "1*.png"}, {"include": "*/1.png", "sample": 4}):
        found = FolderSource(**settings, **drawn).read(tmp_path)
        assert rows_of(found) == found.labels.tolist(), drawn
        assert len(found.class_names) == 11
    chosen = FolderSource(**settings, include="1*/*.png").read(tmp_path)
    assert chosen.class_names == ("10",)
    assert chosen.labels.tolist() == [0, 0]


def test_a_class_that_moves_the_labels_of_the_others_is_part_of_the_identity(tmp_path, write_image):
    for owner in ("cat", "dog"):
        write_image(tmp_path / f"set/{owner}/test_0.png", np.zeros((4, 4, 3), np.uint8))
    source = FolderSource(name="x", path="set", layout="classes", include="*/test_*")
    before = source.identity(tmp_path)
    assert set(before["files"]) == {"count", "sha256"}, "what is in stores already keeps its key"
    write_image(tmp_path / "set/ant/train_0.png", np.zeros((4, 4, 3), np.uint8))
    assert source.read(tmp_path).labels.tolist() == [1, 2]
    assert source.identity(tmp_path) != before


@pytest.mark.parametrize(("settings", "right"), [({}, 2 / 11), ({"class_order": "natural"}, 1)])
def test_numbered_classes_can_be_labelled_by_their_numbers(tmp_path, write_image, settings, right):
    for label in range(11):
        write_image(tmp_path / f"set/{label}/0.png", np.full((4, 4, 3), label, np.uint8))
    source = FolderSource(name="x", path="set", layout="classes", **settings)
    found = source.read(tmp_path)
    assert np.mean(np.array(rows_of(found)) == found.labels) == right
    assert source.parameters().get("class_order") == settings.get("class_order")


def test_numbers_are_sorted_as_numbers_and_equal_ones_as_text():
    paths = ["a/1²2.png", "a/10.png", "a/2.png", "a/02.png"]
    assert sorted(paths, key=lambda path: sort_key(path, "natural")) == ["a/1²2.png", "a/02.png", "a/2.png", "a/10.png"]


def test_files_of_other_kinds_are_counted(classes, caplog):
    caplog.set_level(logging.INFO)
    for name in ("a.npy", "b.NPY", "README", "c.xyz"):
        (classes / "set/dog" / name).touch()
    (classes / "set/dog/0.png").rename(classes / "set/dog/0.JFIF")
    (classes / "set/dog/4.png").rename(classes / "set/dog/4.jpe")
    assert len(FolderSource(name="x", path="set", layout="classes").read(classes)) == 12
    assert "x: 5 files of other kinds left out (.npy 2, .txt 1, .xyz 1, none 1)" in caplog.text


def test_entries_that_are_no_image_are_passed_over(classes):
    source = FolderSource(name="x", path="set", layout="classes")
    before = source.read(classes).fingerprint
    (classes / "set/dog/README").symlink_to("nowhere")
    (classes / "set/dog/self").symlink_to("self")
    os.mkfifo(classes / "set/dog/pipe")
    assert source.read(classes).fingerprint == before


def bind(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (
            lambda path: path.symlink_to("nowhere"),
            "new.png",
            "cannot be read .*: remove the link, or put the file there",
        ),
        (lambda path: path.symlink_to(path), "new.png", "cannot be read .*: remove the link"),
        (lambda path: path.symlink_to("."), "self", "a link to a folder that it lies in: remove the link"),
        (os.mkfifo, "new.png", "a pipe, socket or device"),
        (lambda path: path.symlink_to("/dev/zero"), "new.png", "a pipe, socket or device"),
        (bind, "new.png", "a pipe, socket or device"),
    ],
)
def test_entries_that_stand_in_for_an_image_are_named(classes, monkeypatch, make, name, message):
    monkeypatch.chdir(classes)
    make(Path("set/dog", name))
    with pytest.raises(DataError, match=rf"set/dog/{name}: {message}"):
        FolderSource(name="x", path="set", layout="classes").identity(Path())


def test_a_folder_that_may_not_be_read_is_named(classes, monkeypatch):
    scandir = os.scandir

    def guarded(folder):
        if folder.endswith("dog"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(walk.os, "scandir", guarded)
    with pytest.raises(DataError, match=r"set/dog: cannot be read \(Permission denied\): give yourself the right"):
        FolderSource(name="x", path="set", layout="classes").identity(classes)


def test_names_need_not_be_utf_8(classes):
    source = FolderSource(name="x", path="set", layout="classes")
    before = source.identity(classes)
    name = os.fsencode(classes / "set/dog/0.png")
    os.rename(name, name.replace(b"0.png", b"0\xe4.png"))
    assert source.identity(classes) != before
    assert rows_of(source.read(classes)) == [1, 10, 3, 5, 8, 0, 11, 4, 7, 2, 6, 9]
    Path(os.fsdecode(name.replace(b"0.png", b"0\xe4.png"))).write_bytes(b"")
    with pytest.raises(DataError, match="empty file"):
        source.read(classes)


def test_a_folder_within_the_folder_is_pointed_at(tmp_path, write_image):
    write_image(tmp_path / "set/set/0.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(DataError, match=r"it holds the folder set: set source\.path to it"):
        FolderSource(name="x", path="set", layout="flat").read(tmp_path)


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
