import numpy as np
import pytest
from scipy.io import savemat

from ood_bench.data import svhn
from ood_bench.data.source import md5_file
from ood_bench.data.svhn import Svhn
from ood_bench.errors import DataError


@pytest.fixture
def accept(monkeypatch):
    """Makes a file the released one."""

    def set_sum(path):
        monkeypatch.setitem(svhn.SUMS, "test", md5_file(path))

    return set_sum


@pytest.mark.parametrize("place", ["svhn/test_32x32.mat", "test_32x32.mat"])
@pytest.mark.parametrize("compressed", [True, False])
def test_matlabs_axes_and_labels(tmp_path, pixels, accept, place, compressed):
    images, path = pixels(5, 3, 32, 32), tmp_path / place
    path.parent.mkdir(exist_ok=True)
    marks = np.array([[10], [1], [9], [10], [5]], dtype=np.uint8)
    savemat(path, {"X": images.transpose(2, 3, 1, 0), "y": marks}, do_compression=compressed)
    accept(path)
    found = Svhn(name="svhn").read(tmp_path)
    np.testing.assert_array_equal(found.images, images)
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1, 9, 0, 5]


def test_other_files_are_named(tmp_path, pixels, accept):
    path = tmp_path / "test_32x32.mat"
    savemat(path, {"X": pixels(32, 32, 3, 200), "y": np.ones((200, 1))}, do_compression=True)
    with pytest.raises(DataError, match="MD5 is"):
        Svhn(name="svhn").read(tmp_path)
    path.write_bytes(path.read_bytes()[:9000])
    accept(path)
    with pytest.raises(DataError, match=r"test_32x32\.mat: (not a MATLAB|corrupt)"):
        Svhn(name="svhn").read(tmp_path)
    path.write_bytes(b"<html></html>" * 100)
    accept(path)
    with pytest.raises(DataError, match=r"test_32x32\.mat: (not a MATLAB|corrupt)"):
        Svhn(name="svhn").read(tmp_path)
    savemat(path, {"X": np.zeros((4, 4)), "y": np.ones((1, 1))})
    accept(path)
    with pytest.raises(DataError, match="X is float64"):
        Svhn(name="svhn").read(tmp_path)


def test_missing_and_fetched(tmp_path, mirror, monkeypatch):
    monkeypatch.setattr(svhn, "MIRROR", mirror.address)
    monkeypatch.setitem(svhn.SUMS, "test", mirror.md5)
    message = Svhn(name="svhn").missing(tmp_path)
    assert message is not None
    assert "fetch svhn" in message
    Svhn(name="svhn").fetch(tmp_path)
    assert Svhn(name="svhn").missing(tmp_path) is None
