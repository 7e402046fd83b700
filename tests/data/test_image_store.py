import json
import logging
import multiprocessing
import os
import socket

import numpy as np
import pytest

from ood_bench.data import image_store
from ood_bench.data.idx import Idx
from ood_bench.data.image_store import ImageStore
from ood_bench.data.imageset import fingerprint
from ood_bench.data.noise import Noise
from ood_bench.errors import ArtifactError, DataError


@pytest.fixture
def source(tmp_path, pixels, write_idx):
    write_idx(tmp_path / "data/images", pixels(20, 6, 7))
    write_idx(tmp_path / "data/labels", np.arange(20, dtype=np.uint8))
    return Idx(name="tiny", images="images", labels="labels", variant="made up")


@pytest.fixture
def store(tmp_path):
    return ImageStore(tmp_path / "store")


def only_entry(tmp_path):
    (entry,) = [item for item in (tmp_path / "store/images").iterdir() if item.is_dir() and item.suffix != ".torn"]
    return entry


def test_the_second_use_reads_no_source(tmp_path, source, store, monkeypatch):
    first = store.open(source, tmp_path / "data")
    monkeypatch.setattr(Idx, "read", lambda *_: pytest.fail("read again"))
    second = ImageStore(tmp_path / "store").open(source, tmp_path / "data")
    assert isinstance(second.images, np.memmap)
    assert not second.images.flags.writeable
    np.testing.assert_array_equal(second.images, first.images)
    np.testing.assert_array_equal(second.labels, first.labels)
    assert (second.name, second.variant, second.fingerprint) == ("tiny", "made up", first.fingerprint)


def test_what_is_stored_is_what_was_read(tmp_path, source, store):
    read, stored = source.read(tmp_path / "data"), store.open(source, tmp_path / "data")
    np.testing.assert_array_equal(stored.images, read.images)
    assert stored.fingerprint == read.fingerprint
    names = {item.name for item in only_entry(tmp_path).iterdir()}
    assert names == {"images.npy", "labels.npy", "meta.json", f"checked-{socket.gethostname()}.json"}


def test_class_names_and_missing_labels_survive(tmp_path, store):
    noise = Noise(name="n", recipe="uniform", shape=(1, 4, 4), count=3)
    assert [store.open(noise, tmp_path).labels for _ in range(2)] == [None, None]


def test_changed_files_make_another_entry(tmp_path, source, store, pixels, write_idx):
    before = store.open(source, tmp_path / "data")
    write_idx(tmp_path / "data/images", pixels(20, 6, 8))
    assert store.open(source, tmp_path / "data").fingerprint != before.fingerprint


def cut_images(entry):
    path = entry / "images.npy"
    path.write_bytes(path.read_bytes()[:-5])


def lose_labels(entry):
    (entry / "labels.npy").unlink()


def spoil_meta(entry):
    (entry / "meta.json").write_text('{"format": 1')


def lose_meta(entry):
    (entry / "meta.json").unlink()


def older_format(entry):
    meta = json.loads((entry / "meta.json").read_text())
    (entry / "meta.json").write_text(json.dumps({**meta, "format": 0}))


def zero_pixels(entry):
    path = entry / "images.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:400] + bytes(60) + whole[460:])
    os.utime(path, ns=(1, 1))


def flip_a_label(entry):
    path = entry / "labels.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:])


def name_another_source(entry):
    meta = json.loads((entry / "meta.json").read_text())
    (entry / "meta.json").write_text(json.dumps({**meta, "identity": {**meta["identity"], "images": "others"}}))


def empty_images(entry):
    (entry / "images.npy").write_bytes(b"")


DAMAGES = [
    cut_images,
    empty_images,
    lose_labels,
    spoil_meta,
    lose_meta,
    older_format,
    zero_pixels,
    flip_a_label,
    name_another_source,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_torn_entry_is_renamed_and_read_again(tmp_path, source, store, damage, caplog):
    before = np.array(store.open(source, tmp_path / "data").images)
    damage(only_entry(tmp_path))
    for _ in range(2):
        after = store.open(source, tmp_path / "data")
        np.testing.assert_array_equal(after.images, before)
    assert caplog.text.count("renamed to .torn") == 1
    assert len(list((tmp_path / "store/images").glob("*.torn"))) == 1


def test_pixels_are_hashed_once_on_a_machine(tmp_path, source, store, monkeypatch):
    store.open(source, tmp_path / "data")
    hashed = []
    monkeypatch.setattr(image_store, "fingerprint", lambda *given: hashed.append(given) or fingerprint(*given))
    store.open(source, tmp_path / "data")
    assert hashed == []
    monkeypatch.setattr(image_store.socket, "gethostname", lambda: "another")
    for _ in range(2):
        store.open(source, tmp_path / "data")
    assert len(hashed) == 1


def test_a_failed_reading_leaves_nothing(tmp_path, source, store):
    (tmp_path / "data/images").write_bytes(b"spoilt")
    with pytest.raises(DataError):
        store.open(source, tmp_path / "data")
    assert not [item for item in (tmp_path / "store/images").iterdir() if item.is_dir()]
    (tmp_path / "data/images").unlink()
    with pytest.raises(DataError, match="is missing"):
        store.open(source, tmp_path / "data")


def test_a_store_that_cannot_be_written_is_named(tmp_path, source):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="file"):
        ImageStore(tmp_path / "file").open(source, tmp_path / "data")


def test_two_processes_make_a_set_once(tmp_path):
    noise = Noise(name="n", recipe="gaussian", shape=(3, 32, 32), count=4000)

    def opened(number):
        logging.basicConfig(filename=tmp_path / f"{number}.log", level=logging.INFO, force=True)
        (tmp_path / f"{number}.txt").write_text(ImageStore(tmp_path).open(noise, tmp_path).fingerprint)

    context = multiprocessing.get_context("fork")
    both = [context.Process(target=opened, args=(number,)) for number in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
        assert process.exitcode == 0
    answers = [(tmp_path / f"{number}.txt").read_text() for number in range(2)]
    assert answers[0] == answers[1] != ""
    assert sum((tmp_path / f"{number}.log").read_text().count("images stored") for number in range(2)) == 1
