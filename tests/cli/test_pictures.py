"""What ``ood-bench new`` makes of images that differ does not hang on the order in which a disk lists them."""

import pytest
from PIL import Image

from ood_bench.cli import pictures
from ood_bench.cli.pictures import look_at
from ood_bench.errors import ConfigError


def draw(folder, *images):
    """Images of a mode and a size, named by their place."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, (mode, size) in enumerate(images):
        Image.new(mode, size).save(folder / f"{place:03}.png")


GREY, COLOUR = ("L", (16, 16)), ("RGB", (16, 16))


@pytest.mark.parametrize(
    ("ants", "found", "said"),
    [
        ([GREY, GREY], ("L", 16), ""),
        ([GREY, ("1", (16, 16))], ("L", 16), ""),
        ([GREY, GREY, COLOUR], ("RGB", 16), "looked at 4 images: 3 are grey; they become RGB, 16x16\n"),
        ([COLOUR, COLOUR], ("RGB", 16), "looked at 3 images: 1 is grey; they become RGB, 16x16\n"),
        (
            [("L", (64, 64)), ("L", (64, 64)), ("L", (8, 90))],
            ("L", 64),
            "looked at 4 images: sizes 16x16 to 64x64; they become L, 64x64\n",
        ),
        ([("L", (32, 32))], ("L", 32), "looked at 2 images: sizes 16x16 to 32x32; they become L, 32x32\n"),
        (
            [("RGB", (40, 30)), ("RGB", (40, 30))],
            ("RGB", 224),
            "looked at 3 images: 1 is grey, sizes 16x16 to 40x30; they become RGB, 224x224\n",
        ),
    ],
)
def test_mode_and_size_are_those_of_many_images(tmp_path, capsys, ants, found, said):
    draw(tmp_path / "ant", *ants)
    draw(tmp_path / "bee", GREY)
    seen = look_at(tmp_path, None, classes=True)
    assert (seen.mode, seen.size) == found
    assert capsys.readouterr().out == said


def test_the_order_of_the_disk_says_nothing(tmp_path, monkeypatch):
    from ood_bench.data import walk  # noqa: PLC0415 - the module, whose function is replaced

    draw(tmp_path / "ant", GREY, ("RGB", (32, 32)), ("L", (32, 32)))
    draw(tmp_path / "bee", GREY, ("L", (64, 64)))
    before = look_at(tmp_path, None, classes=True)
    forwards = walk.walk
    monkeypatch.setattr(walk, "walk", lambda *where, **how: reversed(list(forwards(*where, **how))))
    assert look_at(tmp_path, None, classes=True) == before
    assert (before.mode, before.size) == ("RGB", 32)


def test_fifty_images_from_the_first_class_to_the_last_are_opened(tmp_path, monkeypatch):
    for name in "abcd":
        draw(tmp_path / name, *[GREY] * 40)
    opened = []
    look = pictures._opened
    monkeypatch.setattr(pictures, "_opened", lambda path: opened.append(path.parent.name) or look(path))
    look_at(tmp_path, None, classes=True)
    assert len(opened) == 50
    assert {name: opened.count(name) for name in "abcd"} == {"a": 13, "b": 12, "c": 13, "d": 12}


def test_a_size_that_was_asked_for_and_an_ood_set(tmp_path, capsys):
    """OOD images become what the ID images are: there is nothing to say."""
    draw(tmp_path / "ant", GREY, COLOUR)
    draw(tmp_path / "bee", GREY)
    assert look_at(tmp_path, 8, classes=True).size == 8
    assert capsys.readouterr().out == "looked at 3 images: 2 are grey; they become RGB, 8x8\n"
    look_at(tmp_path, None, classes=False)
    assert capsys.readouterr().out == ""


def test_only_the_parts_are_looked_at(tmp_path):
    for part in ("train/ant", "train/bee", "test/ant", "test/bee"):
        draw(tmp_path / part, GREY)
    draw(tmp_path / "drawings", *[COLOUR] * 9)
    seen = look_at(tmp_path, None, classes=True)
    assert (seen.mode, seen.classes, seen.parted) == ("L", 2, {"train": "train", "test": "test"})
    draw(tmp_path / "test/cat", GREY)
    with pytest.raises(ConfigError, match="have other class folders: give both the same"):
        look_at(tmp_path, None, classes=True)


@pytest.mark.parametrize("most", [150, 100])
def test_a_file_of_too_many_pixels_is_named(tmp_path, monkeypatch, most):
    """Pillow warns of more than its limit, and refuses more than twice that."""
    draw(tmp_path, GREY, ("L", (16, 16)), ("L", (10, 10)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    with pytest.raises(ConfigError, match=r"000\.png has more pixels than a run takes: shrink or remove it"):
        look_at(tmp_path, None, classes=False)


def test_a_damaged_file_is_named(tmp_path):
    draw(tmp_path, GREY)
    (tmp_path / "001.png").write_bytes(b"no image")
    with pytest.raises(ConfigError, match=r"001\.png cannot be read as an image: mend or remove it"):
        look_at(tmp_path, None, classes=False)
