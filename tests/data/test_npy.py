import io
import struct

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


def file_with(array):
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


def file_of(shape, dtype="|u1", size=0):
    """A NumPy file with any header."""
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(size)


def npz():
    content = io.BytesIO()
    np.savez(content, a=np.zeros((2, 8, 8, 3), np.uint8))
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (file_with(np.zeros((6, 4, 6, 3), dtype=np.uint8)), "holds 6 images, not 5"),
        (file_with(np.zeros((5, 4, 6, 3), dtype=np.uint8))[:-10], "cut off: 350 bytes"),
        (file_with(np.zeros((2, 4, 4, 3))), "not bytes of"),
        (file_with(np.zeros((2, 3, 4, 4), dtype=np.uint8)), "not bytes of"),
        (file_with(np.array([{}])), "not bytes of"),
        (npz(), r"an archive of several arrays \(\.npz\)\?"),
        (file_of("(-1, 32, 32, 3)", size=3072), r"holds no images: its shape is \(-1, 32, 32, 3\)"),
        (file_of("(True, 1, 1, 3)", size=3), r"holds no images: its shape is \(True, 1, 1, 3\)"),
        (file_of("(5, 0, 0, 3)"), r"holds no images: its shape is \(5, 0, 0, 3\)"),
        (file_of("(0, 32, 32, 3)"), r"holds no images: its shape is \(0, 32, 32, 3\)"),
        (file_of("(1000000000000, 32, 32, 3)", size=100), "cut off: 100 bytes of values where"),
        (file_of(f"({2**63 - 1}, {2**63 - 1}, 2, 3)", size=8), "cut off: 8 bytes"),
        (file_of("(1, 1, 1, 3)", size=4), "too long: 4 bytes of values where .* asks for 3"),
        (file_of("(1, 1)", "|O", size=8), "not bytes of"),
        (file_of("(" * 3000 + ")" * 3000), "not a NumPy file"),
        (b"\x93NUMPY\2\0" + struct.pack("<I", 2**32 - 1) + b"{", "not a NumPy file, or cut off"),
        (b"", "not a NumPy file, or cut off"),
    ],
)
def test_headers_are_checked_before_anything_is_read(content, message, tmp_path):
    (tmp_path / "some.npy").write_bytes(content)
    with pytest.raises(DataError, match=rf"some\.npy: .*{message}"):
        source(count=5).read(tmp_path)


def test_columns_may_come_first(tmp_path):
    images = np.asfortranarray(np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8))
    np.save(tmp_path / "some.npy", images)
    np.testing.assert_array_equal(source().read(tmp_path).images, images.transpose(0, 3, 1, 2))
