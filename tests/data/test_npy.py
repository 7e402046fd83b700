import numpy as np
import pytest

from ood_bench.data.npy import NpySource
from ood_bench.errors import DataError


@pytest.fixture
def pixels(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    np.save(tmp_path / "some.npy", images)
    return images


def source(**options):
    return NpySource(name="some", path="some.npy", by_hand="https://example.org/some.npy", **options)


def test_channels_come_first(pixels, tmp_path):
    found = source(count=5).read(tmp_path)
    assert found.images.shape == (5, 3, 4, 6)
    assert found.labels is None
    np.testing.assert_array_equal(found.images[3, 2], pixels[3, :, :, 2])


def test_a_missing_file_says_where_to_get_it(tmp_path):
    assert "get it by hand: https://example.org/some.npy -> some.npy" in source().missing(tmp_path)
    with pytest.raises(DataError, match=r"some\.npy is missing"):
        source().read(tmp_path)


def test_another_number_of_images_is_refused(pixels, tmp_path):
    with pytest.raises(DataError, match="holds 5 images, not 6"):
        source(count=6).read(tmp_path)


@pytest.mark.parametrize("held", [np.zeros((2, 4, 4, 3)), np.zeros((2, 3, 4, 4), dtype=np.uint8), np.array([{}])])
def test_other_content_is_refused(held, tmp_path):
    np.save(tmp_path / "some.npy", held, allow_pickle=True)
    with pytest.raises(DataError, match=r"not bytes of|not a NumPy file"):
        source().read(tmp_path)


def test_a_cut_file_is_refused(pixels, tmp_path):
    path = tmp_path / "some.npy"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match="cut off"):
        source().read(tmp_path)
