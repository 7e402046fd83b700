import pickle
import struct
import tarfile

import numpy as np
import pytest
from torchvision import datasets

from ood_bench.data import cifar
from ood_bench.data.cifar import LAYOUTS, Cifar
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


@pytest.fixture(params=["cifar10", "cifar100"])
def tiny(request, monkeypatch, tmp_path, pixels):
    """One of the sets with four rows a batch in the official layout: its name, the root, and each split's images."""
    layout, reader = LAYOUTS[request.param], getattr(datasets, request.param.upper())
    folder = tmp_path / layout.folder
    folder.mkdir()
    images = {}
    for split, files in layout.splits.items():
        rows = pixels(len(files), 4, 3072, seed=len(files))
        for number, name in enumerate(files):
            labels = {f"{'fine_' if split in files else ''}labels": ints([number, 9, 1, 2])}
            (folder / name).write_bytes(python2_pickle(data=python2_array(rows[number]), **labels))
        monkeypatch.setattr(reader, f"{split}_list", [[name, md5_file(folder / name)] for name in files])
        images[split] = rows.reshape(-1, 3, 32, 32)
    names = b"](" + b"".join(text(name) for name in (b"airplane", b"automobile")) + b"e"
    (folder / layout.meta).write_bytes(python2_pickle(**{reader.meta["key"]: names}))
    monkeypatch.setitem(reader.meta, "md5", md5_file(folder / layout.meta))
    return request.param, tmp_path, images


@pytest.fixture
def packed(tiny, monkeypatch):
    """The same as an archive; nothing is unpacked."""
    name, root, images = tiny
    layout = LAYOUTS[name]
    with tarfile.open(root / layout.archive, "w:gz") as tar:
        tar.add(root / layout.folder, layout.folder)
    (root / layout.folder).rename(root / "elsewhere")
    monkeypatch.setattr(getattr(datasets, name.upper()), "tgz_md5", md5_file(root / layout.archive))
    return name, root, images


@pytest.mark.parametrize("split", ["train", "test"])
def test_one_split_is_read_without_the_other(tiny, split, recwarn):
    name, root, images = tiny
    for other in LAYOUTS[name].splits["test" if split == "train" else "train"]:
        (root / LAYOUTS[name].folder / other).unlink()
    found = Cifar(name=name, dataset=name, split=split).read(root)
    np.testing.assert_array_equal(found.images, images[split])
    assert found.labels is not None
    assert found.labels.tolist() == [value for n in range(len(images[split]) // 4) for value in (n, 9, 1, 2)]
    assert found.class_names == ("airplane", "automobile")
    assert not recwarn.list


def test_the_names_and_sums_are_torchvisions():
    for name, layout in LAYOUTS.items():
        reader = getattr(datasets, name.upper())
        assert (layout.archive, layout.folder, layout.meta) == (
            reader.filename,
            reader.base_folder,
            reader.meta["filename"],
        )
        assert reader.url == f"{cifar.MIRROR}{layout.archive}"
        assert {split: [file for file, _ in getattr(reader, f"{split}_list")] for split in layout.splits} == {
            split: list(files) for split, files in layout.splits.items()
        }


def test_the_archive_is_read_without_unpacking_it_for_good(packed, monkeypatch):
    name, root, images = packed
    root.chmod(0o555)
    source = Cifar(name=name, dataset=name, split="test")
    np.testing.assert_array_equal(source.read(root).images, images["test"])
    assert not (root / LAYOUTS[name].folder).exists()
    monkeypatch.setattr(getattr(datasets, name.upper()), "tgz_md5", "0")
    with pytest.raises(DataError, match=r"tar\.gz: MD5 is"):
        source.read(root)
    root.chmod(0o755)


def test_a_download_is_unpacked_where_torchvision_looks(packed, monkeypatch, mirror):
    name, root, images = packed
    layout, other = LAYOUTS[name], root / "other"
    mirror.content = (root / layout.archive).read_bytes()
    monkeypatch.setattr(cifar, "MIRROR", mirror.address)
    source = Cifar(name=name, dataset=name, split="train")
    message = source.missing(other)
    assert message is not None
    assert f"fetch {name}" in message
    source.fetch(other)
    assert sorted(item.name for item in other.iterdir()) == sorted([layout.archive, layout.folder])
    assert len(getattr(datasets, name.upper())(other)) == len(images["train"])
    np.testing.assert_array_equal(source.read(other).images, images["train"])


class Evil:
    def __reduce__(self):
        return print, ("executed",)


def test_changed_and_lost_files(tiny, capsys):
    name, root, _ = tiny
    source = Cifar(name=name, dataset=name, split="train")
    file = LAYOUTS[name].splits["train"][-1]
    batch = root / LAYOUTS[name].folder / file
    batch.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(DataError, match=f"{file}: MD5 is .* delete it and get it again"):
        source.read(root)
    assert capsys.readouterr().out == ""
    batch.unlink()
    with pytest.raises(DataError, match=f"{file} is missing"):
        source.read(root)
