import pickle
import tarfile

import numpy as np
import pytest
from torchvision import datasets

from ood_bench.data import cifar
from ood_bench.data.cifar import LAYOUTS, Cifar
from ood_bench.data.source import md5_file
from ood_bench.errors import DataError


@pytest.fixture(params=["cifar10", "cifar100"])
def tiny(request, monkeypatch, tmp_path, toys_on_disk):
    """One of the sets with 60 images a split in the official layout: its name, the root, and each split's images."""
    toys_on_disk.write_cifar(tmp_path, request.param)
    toys_on_disk.accept_cifar(monkeypatch, request.param)
    return request.param, tmp_path, {split: toys_on_disk.cifar(request.param, split) for split in ("train", "test")}


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
    classes = int(name.removeprefix("cifar"))
    assert found.labels.tolist() == [row % min(classes, 30) for row in range(60)]
    assert found.class_names[:2] == ("class 0", "class 1")
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


def test_two_fetches_at_once_and_a_folder_that_is_not_whole(packed, monkeypatch, mirror):
    name, root, images = packed
    layout, other = LAYOUTS[name], root / "other"
    mirror.content = (root / layout.archive).read_bytes()
    monkeypatch.setattr(cifar, "MIRROR", mirror.address)
    source, folder = Cifar(name=name, dataset=name, split="train"), other / layout.folder
    unpacked = cifar.unpacked

    def late(*given):
        folder.mkdir(exist_ok=True)  # another process, which was faster
        (folder / layout.meta).touch()
        return unpacked(*given)

    monkeypatch.setattr(cifar, "unpacked", late)
    source.fetch(other)
    np.testing.assert_array_equal(source.read(other).images, images["train"])
    (other / layout.archive).unlink()
    with pytest.raises(DataError, match=rf"{layout.splits['train'][0]} is missing; fetch it with"):
        source.read(other)
    source.fetch(other)
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
