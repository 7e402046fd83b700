import numpy as np
import pytest
from scipy.io import savemat
from torchvision import datasets

from ood_bench.data import svhn
from ood_bench.data.source import md5_file
from ood_bench.data.svhn import Svhn
from ood_bench.errors import DataError


@pytest.fixture
def accept(monkeypatch):
    """Makes a file of this MD5 the released one."""

    def set_sum(md5):
        monkeypatch.setitem(datasets.SVHN.split_list, "test", ["", "test_32x32.mat", md5])

    return set_sum


@pytest.mark.parametrize("place", ["svhn/test_32x32.mat", "test_32x32.mat"])
@pytest.mark.parametrize("compressed", [True, False])
def test_matlabs_axes_and_labels(tmp_path, pixels, accept, place, compressed):
    images, path = pixels(5, 3, 32, 32), tmp_path / place
    path.parent.mkdir(exist_ok=True)
    marks = np.array([[10], [1], [9], [10], [5]], dtype=np.uint8)
    savemat(path, {"X": images.transpose(2, 3, 1, 0), "y": marks}, do_compression=compressed)
    accept(md5_file(path))
    found = Svhn(name="svhn").read(tmp_path)
    np.testing.assert_array_equal(found.images, images)
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1, 9, 0, 5]
    assert found.class_names == tuple("0123456789")


def test_another_file_is_refused(tmp_path, pixels):
    savemat(tmp_path / "test_32x32.mat", {"X": pixels(32, 32, 3, 2), "y": np.ones((2, 1))})
    with pytest.raises(DataError, match=r"test_32x32\.mat: MD5 is .* get it again; a \.mat of your own"):
        Svhn(name="svhn").read(tmp_path)


def test_a_download_goes_where_torchvision_looks(tmp_path, mirror, monkeypatch, accept):
    monkeypatch.setattr(svhn, "MIRROR", mirror.address)
    accept(mirror.md5)
    message = Svhn(name="svhn").missing(tmp_path)
    assert message is not None
    assert "fetch svhn" in message
    Svhn(name="svhn").fetch(tmp_path)
    assert Svhn(name="svhn").missing(tmp_path) is None
    assert (tmp_path / "test_32x32.mat").read_bytes() == mirror.content


@pytest.mark.parametrize("split", ["train", "test", "extra"])
def test_the_names_are_torchvisions(split, tmp_path):
    source = Svhn(name="svhn", split=split)
    address, name, _ = datasets.SVHN.split_list[split]
    assert (source.origin(), str(tmp_path / name) in str(source.missing(tmp_path))) == (address, True)
