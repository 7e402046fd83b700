import pickle
import struct
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from ood_bench.data import cifar
from ood_bench.data.cifar import Cifar, load_batch
from ood_bench.data.source import md5_file
from ood_bench.errors import DataError


def text(value):
    return b"U" + bytes([len(value)]) + value


def ints(values):
    return b"](" + b"".join(b"K" + bytes([value]) for value in values) + b"e"


def python2_array(rows):
    """The opcodes with which Python 2 and its numpy pickled a uint8 matrix (protocol 2, bytes as text)."""
    dtype = b"cnumpy\ndtype\n" + text(b"u1") + b"K\0K\1\x87R(K\3" + text(b"|") + b"NNNJ" + b"\xff" * 4
    dtype += b"J" + b"\xff" * 4 + b"K\0tb"
    shape = b"M" + struct.pack("<H", rows.shape[0]) + b"M" + struct.pack("<H", rows.shape[1]) + b"\x86"
    data = b"T" + struct.pack("<I", rows.size) + rows.tobytes()
    start = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" + text(b"b") + b"\x87R"
    return start + b"(K\1" + shape + dtype + b"\x89" + data + b"tb"


def python2_pickle(**items):
    return b"\x80\x02}(" + b"".join(text(key.encode()) + value for key, value in items.items()) + b"u."


@pytest.fixture
def tiny(monkeypatch, tmp_path, pixels):
    """CIFAR-10 with four rows a batch in the official layout; returns the root and the images."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    release = cifar.RELEASES["cifar10"]
    splits, images = {}, {}
    for split, files in release.splits.items():
        splits[split] = {}
        for number, name in enumerate(files):
            rows = pixels(4, 3072, seed=hash(split) % 97 + number)
            labels = ints([number, 9, 1, 2])
            (folder / name).write_bytes(python2_pickle(data=python2_array(rows), labels=labels))
            splits[split][name] = md5_file(folder / name)
            images.setdefault(split, []).append(rows.reshape(-1, 3, 32, 32))
    names = b"](" + b"".join(text(name) for name in (b"airplane", b"automobile")) + b"e"
    (folder / "batches.meta").write_bytes(python2_pickle(label_names=names))
    meta = ("batches.meta", md5_file(folder / "batches.meta"))
    monkeypatch.setitem(cifar.RELEASES, "cifar10", replace(release, splits=splits, meta=meta))
    return tmp_path, {split: np.concatenate(parts) for split, parts in images.items()}


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_official_layout_is_read(tiny, split):
    root, images = tiny
    found = Cifar(name="cifar10", dataset="cifar10", split=split).read(root)
    np.testing.assert_array_equal(found.images, images[split])
    assert found.labels is not None
    assert found.labels.tolist() == [value for n in range(len(images[split]) // 4) for value in (n, 9, 1, 2)]
    assert found.class_names == ("airplane", "automobile")


def test_the_archive_is_read_without_unpacking_it_for_good(tiny, monkeypatch):
    root, images = tiny
    archive = root / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(root / "cifar-10-batches-py", "cifar-10-batches-py")
    (root / "cifar-10-batches-py").rename(root / "elsewhere")
    source = Cifar(name="cifar10", dataset="cifar10", split="test")
    with pytest.raises(DataError, match=r"tar\.gz: MD5 is"):
        source.read(root)
    monkeypatch.setitem(cifar.RELEASES, "cifar10", replace(cifar.RELEASES["cifar10"], md5=md5_file(archive)))
    np.testing.assert_array_equal(source.read(root).images, images["test"])
    assert not (root / "cifar-10-batches-py").exists()


def test_fetching(tiny, monkeypatch, mirror, tmp_path):
    root, images = tiny
    with tarfile.open(root / "made.tar.gz", "w:gz") as tar:
        tar.add(root / "cifar-10-batches-py", "cifar-10-batches-py")
    mirror.content = (root / "made.tar.gz").read_bytes()
    monkeypatch.setattr(cifar, "MIRROR", mirror.address)
    monkeypatch.setitem(cifar.RELEASES, "cifar10", replace(cifar.RELEASES["cifar10"], md5=mirror.md5))
    source, other = Cifar(name="cifar10", dataset="cifar10", split="train"), tmp_path / "other"
    message = source.missing(other)
    assert message is not None
    assert "fetch cifar10" in message
    source.fetch(other)
    np.testing.assert_array_equal(source.read(other).images, images["train"])


def test_changed_and_lost_files(tiny):
    root, _ = tiny
    source = Cifar(name="cifar10", dataset="cifar10", split="train")
    batch = root / "cifar-10-batches-py/data_batch_3"
    content = batch.read_bytes()
    batch.write_bytes(content[:-1] + b"x")
    with pytest.raises(DataError, match="data_batch_3: MD5"):
        source.read(root)
    batch.unlink()
    with pytest.raises(DataError, match="data_batch_3 is missing"):
        source.read(root)


def test_python3_pickles_of_arrays_pass(tmp_path, pixels):
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({"data": pixels(2, 3072), "fine_labels": [1, 2]}, protocol=4))
    np.testing.assert_array_equal(load_batch(path, md5_file(path))["data"], pixels(2, 3072))


class Evil:
    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize("content", [{"data": Evil()}, Evil(), {"data": pickle.PickleBuffer}])
def test_code_in_a_pickle_is_not_run(tmp_path, capsys, content):
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match="which no CIFAR file does"):
        load_batch(path, md5_file(path))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"", b"\x80\x02}(", b"<html>", pickle.dumps([1])])
def test_other_content_is_named(tmp_path, content):
    path = tmp_path / "batch"
    path.write_bytes(content)
    with pytest.raises(DataError, match="batch: not a CIFAR file"):
        load_batch(path, md5_file(path))


def test_batches_of_another_form_are_named(tiny, monkeypatch):
    root, _ = tiny
    path = root / "cifar-10-batches-py/test_batch"
    path.write_bytes(pickle.dumps({"data": np.zeros((2, 100), np.uint8), "labels": [1, 2]}))
    release = cifar.RELEASES["cifar10"]
    splits = {**release.splits, "test": {"test_batch": md5_file(path)}}
    monkeypatch.setitem(cifar.RELEASES, "cifar10", replace(release, splits=splits))
    with pytest.raises(DataError, match="3,072 bytes a row"):
        Cifar(name="cifar10", dataset="cifar10", split="test").read(root)
