import hashlib
import logging
import os

import numpy as np
import pytest
from PIL import Image
from torchvision import transforms

from ood_bench.data.catalogue import entries
from ood_bench.data.image_store import ImageStore
from ood_bench.data.imglist import Imglist, list_sum
from ood_bench.errors import ConfigError, DataError

LIST = "benchmark_imglist/cifar10/test_tin.txt"
LINES = ["tin/val/b.JPEG -1", "tin/val/a.png 7", "tin/val/b.JPEG -1", "tin/val/c.png 3"]
SUM = hashlib.sha256(b"tin/val/a.png 7\ntin/val/b.JPEG -1\ntin/val/b.JPEG -1\ntin/val/c.png 3\n").hexdigest()


@pytest.fixture
def root(tmp_path, pixels, write_image):
    """A list of four lines and the three pictures that it names, in OpenOOD's folders."""
    for seed, (name, side) in enumerate({"a.png": (40, 50), "b.JPEG": (64, 33), "c.png": (32, 32)}.items()):
        write_image(tmp_path / "images_classic/tin/val" / name, pixels(*side, 3, seed=seed))
    (tmp_path / LIST).parent.mkdir(parents=True)
    (tmp_path / LIST).write_bytes("\r\n".join([*LINES, "", ""]).encode())
    return tmp_path


def source(**settings):
    return Imglist(**{"name": "tin", "variant": "OpenOOD", "path": "cifar10/test_tin.txt", "size": 32, **settings})


def as_openood(path, short, size, interpolation="bilinear"):
    """Pixels after the preprocessing that OpenOOD composes of torchvision's transforms."""
    steps = [transforms.Resize(short, transforms.InterpolationMode(interpolation)), transforms.CenterCrop(size)]
    return np.asarray(transforms.Compose(steps)(Image.open(path).convert("RGB"))).transpose(2, 0, 1)


@pytest.mark.parametrize(
    "size", [{"size": 32}, {"short_side": 36, "size": 32}, {"size": 32, "interpolation": "bicubic"}]
)
def test_order_labels_repeats_and_pixels_are_those_of_the_list(root, size):
    found = source(sha256=SUM, count=4, **size).read(root)
    assert found.labels.tolist() == [-1, 7, -1, 3]
    for row, name in enumerate(["b.JPEG", "a.png", "b.JPEG", "c.png"]):
        how = size.get("short_side", 32), 32, size.get("interpolation", "bilinear")
        wanted = as_openood(root / "images_classic/tin/val" / name, *how)
        np.testing.assert_array_equal(found.images[row], wanted)
    streamed = source(sha256=SUM, count=4, **size).stream(root)
    np.testing.assert_array_equal(streamed.images[np.arange(4)], found.images)
    assert (streamed.labels.tolist(), streamed.title) == (found.labels.tolist(), found.title)


def test_the_data_root_may_hold_openoods_folder_data(root):
    wanted = source().read(root)
    (root / "data").mkdir()
    for name in ("benchmark_imglist", "images_classic"):
        (root / name).rename(root / "data" / name)
    assert source().read(root).fingerprint == wanted.fingerprint


@pytest.mark.parametrize(
    ("settings", "variant"),
    [
        ({"sha256": SUM}, "OpenOOD"),
        ({"sha256": "unknown"}, "OpenOOD"),
        ({"sha256": None}, "OpenOOD; list not verified"),
        ({"sha256": SUM, "size": None}, "OpenOOD"),
        ({"sha256": SUM, "size": 224, "short_side": 256}, "OpenOOD"),
        ({"sha256": SUM, "size": 224, "short_side": 232, "interpolation": "bicubic"}, "OpenOOD"),  # for Swin-T
        ({"sha256": SUM, "size": 224, "short_side": 232}, "OpenOOD; short side to 232, PIL bilinear, centre 224×224"),
        ({"sha256": SUM, "size": 224}, "OpenOOD; short side to 224, PIL bilinear, centre 224×224"),
        ({"sha256": SUM, "size": 16, "short_side": 20}, "OpenOOD; short side to 20, PIL bilinear, centre 16×16"),
    ],
)
def test_the_variant_says_what_is_not_openoods(settings, variant):
    assert source(**settings).full_variant == variant


def test_another_list_is_refused_unless_it_is_asked_for(root, caplog):
    (root / LIST).write_text("\n".join(LINES[1:]))
    with pytest.raises(DataError, match=rf"another list: SHA-256 [0-9a-f]{{64}}, not {SUM}: .*=null"):
        source(sha256=SUM).read(root)
    with pytest.raises(DataError, match=r"lists 3 pictures, not 4: .*source\.count=null"):
        source(sha256=SUM, count=4).identity(root)
    assert len(source(sha256=None).read(root)) == 3
    caplog.set_level(logging.INFO)
    assert len(source(sha256="unknown").read(root)) == 3
    assert list_sum(LINES[1:]) in caplog.text
    (root / LIST).write_text("\n".join(reversed(LINES)))
    assert source(sha256=SUM).read(root).labels.tolist() == [3, -1, 7, -1]


def test_missing_pictures_and_lists_are_counted_and_named_before_anything_is_decoded(root):
    (root / "images_classic/tin/val/a.png").write_bytes(b"no picture")
    assert source(sha256=SUM).missing(root) is None
    (root / "images_classic/tin/val/b.JPEG").unlink()
    with pytest.raises(DataError, match=r"2 of 4 pictures .* are not in .*images_classic \(tin/val/b\.JPEG\);"):
        source(sha256=SUM).read(root)
    (root / LIST).write_text("".join(f"tin/{row}.png -1\n" for row in range(5)))
    assert r"5 of 5" in source().missing(root)
    assert "(tin/0.png, tin/1.png, tin/2.png, ...)" in source().missing(root)
    (root / LIST).unlink()
    assert "test_tin.txt is missing; no mirror is known; get it by hand: OpenOOD's scripts" in source().missing(root)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("tin/val/a.png", "line 2 of .* is no path with a label: 'tin/val/a.png'"),
        ('tin/val/a.png { "group_label": 0 }', "line 2 of .* is no path with a label"),
        ("/etc/a.png -1", "line 2 of .* leaves the folder of pictures"),
        ("tin/../../a.png -1", "line 2 of .* leaves the folder of pictures"),
    ],
)
def test_ill_formed_lines_are_named(root, line, message):
    (root / LIST).write_text(f"tin/val/c.png 3\n{line}\n")
    with pytest.raises(DataError, match=message):
        source().read(root)


@pytest.mark.parametrize(("content", "message"), [(b"\r\n \n", "is empty"), (b"\xff -1", "cannot be read as text")])
def test_no_list(root, content, message):
    (root / LIST).write_bytes(content)
    with pytest.raises(DataError, match=message):
        source().read(root)


def test_a_short_side_goes_with_a_smaller_size():
    for size in (None, 64):
        with pytest.raises(ConfigError, match=f"short_side=32 needs a size up to it, not {size}"):
            source(short_side=32, size=size)


def test_a_changed_label_order_or_picture_is_another_set(root, pixels, write_image):
    store = ImageStore(root / "store")
    first = store.open(source(), root)
    (root / LIST).write_text("\n".join(reversed(LINES)))
    second = store.open(source(), root)
    assert second.labels.tolist() == first.labels.tolist()[::-1]
    path = write_image(root / "images_classic/tin/val/c.png", pixels(32, 32, 3, seed=9))
    os.utime(path, (1, 1))
    third = store.open(source(), root)
    assert len({first.fingerprint, second.fingerprint, third.fingerprint}) == 3


SIZES = {  # lines of OpenOOD's lists, as openood/evaluation_api names them
    "cifar10": {"train": 50000, "test": 9000, "validation": 1000, "validation_ood": 1000},
    "cifar100": {"train": 50000, "test": 9000, "validation": 1000, "validation_ood": 972},
    "imagenet200": {"train": None, "test": 9000, "validation": 1000, "validation_ood": 1763},
    "imagenet1k": {"train": 1281167, "test": 45000, "validation": 5000, "validation_ood": 1763},
    "cifar10_cifar100": 9000,
    "cifar10_tin": 7793,
    "cifar10_places365": 35195,
    "cifar100_cifar10": 10000,
    "cifar100_tin": 6526,
    "cifar100_places365": 33773,
    "mnist": 70000,
    "svhn": 26032,
    "textures": 5640,
    "ssb_hard": 49000,
    "ninco": 5879,
    "inaturalist": 10000,
    "imagenet_textures": 5160,
    "openimage_o": 15869,
    "cifar10c": 10000,
    "imagenet200_v2": 2000,
    "imagenet200_c": 2000,
    "imagenet200_r": 30000,
    "imagenet_v2": 10000,
    "imagenet_c": 10000,
    "imagenet_r": 30000,
    "imagenet_es": None,
}


def test_the_shipped_lists_are_pinned():
    openood = [entry for entry in entries() if entry.key.startswith("openood_") and not entry.key.endswith("_fs")]
    shipped = {entry.label.replace("=openood_", " "): entry.source for entry in openood}
    counts = {}
    for name, wanted in SIZES.items():
        parts = {f"id {name} {part}": count for part, count in wanted.items()} if isinstance(wanted, dict) else None
        counts |= parts or {f"ood {name}": wanted}
    assert {label: one.count for label, one in shipped.items()} == counts
    unknown = {"id imagenet200 train", "id imagenet1k train", "ood imagenet_es"}
    assert {label for label, one in shipped.items() if one.sha256 == "unknown"} == unknown
    assert {one.full_variant for one in shipped.values()} == {"OpenOOD"}
    # First digits of sums that were published before, of copies of the lists in other repositories.
    known = {
        "id cifar10 test": "2022987e126e7ae9",
        "id cifar10 validation": "f003250f1307f8d5",
        "id cifar10 validation_ood": "a1d8487a17aac569",
        "ood cifar10_cifar100": "410d386c4b271d23",
        "ood cifar10_tin": "1cde9f18bc6554a7",
        "ood cifar10_places365": "1c6f46a2cdd3fc10",
        "ood mnist": "c1673c42c9e03ff0",
        "ood textures": "96aeac122d8f3007",
        "id cifar100 test": "5c6934d66001faad",
        "id cifar100 validation": "1bd6da1e9c319fb9",
        "ood cifar100_cifar10": "352dd98e85f29609",
    }
    assert {label: shipped[label].sha256[:16] for label in known} == known


@pytest.mark.parametrize("key", ["cifar10", "imagenet200", "imagenet1k"])
def test_full_spectrum_test_images_are_joined_of_sets_that_are_shipped_alone(key):
    known = {(entry.key, entry.part): entry.source for entry in entries() if entry.key.startswith("openood_")}
    names = {"cifar10": ["cifar10c"], "imagenet200": [f"imagenet200_{one}" for one in ("v2", "c", "r")]}
    names["imagenet1k"] = [f"imagenet_{one}" for one in ("v2", "c", "r")]
    alone = [known[f"openood_{key}", "test"], *(known[f"openood_{name}", "source"] for name in names[key])]
    whole = known[f"openood_{key}_fs", "test"]
    assert [(one.parameters(), one.sha256, one.count) for one in whole.sources] == [
        (one.parameters(), one.sha256, one.count) for one in alone
    ]
    for part in ("train", "validation", "validation_ood"):
        assert known[f"openood_{key}_fs", part].sha256 == known[f"openood_{key}", part].sha256
