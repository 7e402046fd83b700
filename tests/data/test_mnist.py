import gzip
import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision import datasets

from ood_bench.data import mnist
from ood_bench.data.mnist import TorchvisionMnist
from ood_bench.errors import DataError

TEST = TorchvisionMnist(name="kmnist", dataset="KMNIST", split="test")
TRAIN = TorchvisionMnist(name="kmnist", dataset="KMNIST", split="train")


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def tiny(monkeypatch, tmp_path, pixels, write_idx, mirror):
    """A release of six images, put where the mirror can serve it; returns the mirror and the packed bytes."""
    images = write_idx(tmp_path / "made/images", pixels(6, 28, 28)).read_bytes()
    labels = write_idx(tmp_path / "made/labels", np.arange(6, dtype=np.uint8)).read_bytes()
    packed = [gzip.compress(content, mtime=0) for content in (images, labels)]
    mirrors, plain = ("http://127.0.0.1:1/", mirror.address), ("", "", md5(images), md5(labels))
    monkeypatch.setitem(mnist.RELEASES, "KMNIST", replace(mnist.RELEASES["KMNIST"], mirrors=mirrors, plain=plain))
    names = (name for name, _ in datasets.KMNIST.resources)
    sums = 2 * [md5(content) for content in packed]
    monkeypatch.setattr(datasets.KMNIST, "resources", list(zip(names, sums, strict=True)))
    return mirror, packed


@pytest.mark.parametrize(
    ("archive", "split", "count", "fingerprint"),
    [
        ("FashionMNIST", "train", 60_000, "0218d67dc3307936dca1bdb5fa09e92f5f535bc2984c30b1abf241d3d78e45a3"),
        ("FashionMNIST", "test", 10_000, "f12a3b3bbc70718bb48a59c7caee187818c194fa0c06013a6abd77ce286877e6"),
        ("MNIST", "train", 60_000, "bbc97e9829c71009d86972efd40b0501ea8b3db03c2abb0ab78f6c90b37e6341"),
        ("MNIST", "test", 10_000, "fc1be0572e9654bee502a30d5857beca31877f085160dd4dab1a00ad3c1d7653"),
    ],
)
def test_real_files(real_data, archive, split, count, fingerprint):
    found = TorchvisionMnist(name=archive.lower(), dataset=archive, split=split).read(real_data(archive))
    assert found.images.shape == (count, 1, 28, 28)
    assert found.labels is not None
    assert len(found.class_names) == 10
    assert set(found.labels.tolist()) == set(range(10))
    assert found.fingerprint == fingerprint
    assert found.class_names[1] == {"MNIST": "1", "FashionMNIST": "Trouser"}[archive]


def test_real_kmnist_lies_in_another_folder(real_data):
    found = TEST.read(real_data("idx"))
    assert found.images.shape == (10_000, 1, 28, 28)
    assert found.fingerprint.startswith("deb03861598975b6")


def test_a_fetched_set_is_read_here_and_by_torchvision(tiny, tmp_path):
    mirror, packed = tiny
    message = TEST.missing(tmp_path)
    assert message is not None
    assert "ood-bench data fetch kmnist" in message
    assert str(tmp_path / "KMNIST/raw/t10k-images-idx3-ubyte") in message
    assert "add data.download=true to the run" in replace(TEST, name="a set of one's own").missing(tmp_path)
    mirror.content = packed[0]
    with pytest.raises(DataError, match=r"labels-idx1-ubyte\.gz could not be fetched"):
        TEST.fetch(tmp_path)  # the labels' address serves images
    mirror.content = packed[1]
    TEST.fetch(tmp_path)
    assert TEST.missing(tmp_path) is None
    labels = TEST.read(tmp_path).labels
    assert labels is not None
    assert labels.tolist() == list(range(6))
    for name in mnist.FILES["train"]:
        (tmp_path / "KMNIST/raw" / name).touch()
    assert torch.equal(datasets.KMNIST(tmp_path, train=False).targets, torch.arange(6))


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_changed_file_is_refused(tiny, tmp_path, pixels, write_idx, ending):
    write_idx(tmp_path / f"KMNIST/raw/t10k-images-idx3-ubyte{ending}", pixels(6, 28, 28, seed=1))
    write_idx(tmp_path / "KMNIST/raw/t10k-labels-idx1-ubyte", np.arange(6, dtype=np.uint8))
    with pytest.raises(DataError, match=rf"KMNIST/raw/t10k-images-idx3-ubyte{ending}: MD5 is .* incomplete or changed"):
        TEST.read(tmp_path)


def test_what_old_torchvisions_left_behind_is_not_read(tiny, tmp_path, pixels, write_idx):
    write_idx(tmp_path / "KMNIST/raw/t10k-images-idx3-ubyte", pixels(6, 28, 28))
    write_idx(tmp_path / "KMNIST/raw/t10k-labels-idx1-ubyte", np.arange(6, dtype=np.uint8))
    (tmp_path / "KMNIST/processed").mkdir()
    for name in ("training.pt", "test.pt"):
        torch.save((torch.zeros(1, 28, 28), torch.zeros(1)), tmp_path / "KMNIST/processed" / name)
    assert len(TEST.read(tmp_path)) == 6


def test_without_a_plain_sum_the_gzip_sum_counts(tiny, tmp_path):
    folder = tmp_path / "idx/kmnist"
    folder.mkdir(parents=True)
    for kind, content in zip(("images-idx3", "labels-idx1"), tiny[1], strict=True):
        (folder / f"train-{kind}-ubyte.gz").write_bytes(content)
        (folder / f"train-{kind}-ubyte").write_bytes(gzip.decompress(content))
    folder.chmod(0o555)
    assert len(TRAIN.read(tmp_path)) == 6
    folder.chmod(0o755)
    other = gzip.compress(gzip.decompress(tiny[1][0]), compresslevel=1, mtime=0)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(other)
    with pytest.raises(DataError, match=r"images-idx3-ubyte\.gz: MD5"):
        TRAIN.read(tmp_path)
    (folder / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"KMNIST/raw/train-images-idx3-ubyte\.gz is missing; fetch it"):
        TRAIN.read(tmp_path)
