import gzip
import io
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ood_bench.data.idx import Idx, parse_idx, plain_bytes, read_idx
from ood_bench.errors import DataError


def packed(values):
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def parse(content):
    return parse_idx(io.BytesIO(content), 3, "the file", 1 << 20)


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6)))
def test_what_was_written_is_read(values):
    np.testing.assert_array_equal(parse(packed(values)), values)


@given(st.data())
def test_every_cut_off_file_is_refused(data):
    whole = packed(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    with pytest.raises(DataError, match="the file"):
        parse(whole[: data.draw(st.integers(0, len(whole) - 1))])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"\x89PNG\r\n", "not an IDX file"),
        (struct.pack(">HBBI", 0, 0x0D, 1, 4) + bytes(16), "not an IDX file of bytes"),
        (struct.pack(">HBBI", 0, 8, 1, 4) + bytes(4), "1 axes where 3"),
        (packed(np.zeros((2, 3, 4), np.uint8)) + b"x", "too long"),
        (b"<!DOCTYPE html><title>404</title>", "web page"),
    ],
)
def test_other_content_is_named(content, message):
    with pytest.raises(DataError, match=message):
        parse(content)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_labels_are_shifted_and_images_turned(tmp_path, pixels, write_idx, ending):
    images, labels = pixels(6, 4, 5), np.arange(1, 7, dtype=np.uint8)
    write_idx(tmp_path / f"d/images{ending}", images)
    write_idx(tmp_path / f"d/labels{ending}", labels)
    source = Idx(name="letters", images="d/images", labels="d/labels.gz", label_offset=1, transpose=True, variant="v")
    found = source.read(tmp_path)
    np.testing.assert_array_equal(found.images[:, 0], images.transpose(0, 2, 1))
    assert found.labels is not None
    assert found.labels.tolist() == list(range(6))
    assert found.title == "letters (v)"


def test_labels_are_optional(tmp_path, pixels, write_idx):
    write_idx(tmp_path / "images", pixels(3, 4, 4))
    assert Idx(name="x", images="images").read(tmp_path).labels is None


def test_the_missing_file_is_named(tmp_path, pixels, write_idx):
    source = Idx(name="x", images="images", labels="labels", by_hand="ask the author")
    write_idx(tmp_path / "images", pixels(3, 4, 4))
    assert source.missing(tmp_path) is not None
    with pytest.raises(DataError, match=r"labels .*missing.*ask the author"):
        source.read(tmp_path)
    with pytest.raises(DataError, match="no mirror is known"):
        source.fetch(tmp_path)


def test_faults_between_the_two_files(tmp_path, pixels, write_idx):
    write_idx(tmp_path / "images", pixels(3, 4, 4))
    write_idx(tmp_path / "labels", np.zeros(2, np.uint8))
    with pytest.raises(DataError, match="3 images but labels"):
        Idx(name="x", images="images", labels="labels").read(tmp_path)
    write_idx(tmp_path / "labels", np.zeros(3, np.uint8))
    with pytest.raises(DataError, match="below label_offset 1"):
        Idx(name="x", images="images", labels="labels", label_offset=1).read(tmp_path)


@pytest.mark.parametrize("keep", [10, 40])
def test_a_cut_off_gzip_file_is_named(tmp_path, pixels, keep):
    (tmp_path / "images.gz").write_bytes(gzip.compress(packed(pixels(3, 4, 4)))[:keep])
    with pytest.raises(DataError, match=r"images\.gz: the gzip stream"):
        Idx(name="x", images="images.gz").read(tmp_path)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("shape", [(2**32 - 1, 2**32 - 1, 2**32 - 1), (1 << 20, 28, 28)])
def test_a_header_that_the_file_cannot_hold_is_refused_unread(tmp_path, ending, shape):
    content = struct.pack(">HBB3I", 0, 8, 3, *shape) + bytes(18)
    (tmp_path / f"images{ending}").write_bytes(gzip.compress(content) if ending else content)
    with pytest.raises(DataError, match=r"images.*: cut off: its header .* asks for [\d,]+ bytes, more than"):
        Idx(name="x", images=f"images{ending}").read(tmp_path)


@pytest.mark.parametrize("start", [b"", struct.pack(">HBB3I", 0, 8, 3, 2, 3, 4)])
def test_no_more_is_unpacked_than_the_header_asks_for(tmp_path, start):
    with gzip.open(tmp_path / "bomb.gz", "wb", 1) as file:
        file.write(start)
        for _ in range(64):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"not an IDX file|too long"):
        read_idx(tmp_path / "bomb.gz", 3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 << 20
    with pytest.raises(DataError, match=r"bomb\.gz: holds more than 1,000 bytes"):
        plain_bytes(tmp_path / "bomb.gz", 1000)


def test_too_little_memory_is_said_with_the_name(tmp_path, pixels, write_idx, monkeypatch):
    path = write_idx(tmp_path / "images", pixels(3, 4, 4))
    monkeypatch.setattr("ood_bench.data.idx._HEAD", 1 << 62)
    with pytest.raises(DataError, match="images: reading it needs more memory than there is"):
        read_idx(path, 3)


def test_identity_follows_the_files_and_the_settings(tmp_path, pixels, write_idx):
    path = write_idx(tmp_path / "images", pixels(3, 4, 4))
    before = Idx(name="x", images="images").identity(tmp_path)
    assert before == Idx(name="other", variant="v", by_hand="h", images="images").identity(tmp_path)
    assert before != Idx(name="x", images="images", transpose=True).identity(tmp_path)
    write_idx(path, pixels(4, 4, 4))
    assert before != Idx(name="x", images="images").identity(tmp_path)


def test_real_emnist_letters(real_data):
    root = real_data("idx")
    files = {"images": "idx/emnist_letters/t10k-images-idx3-ubyte.gz"}
    files["labels"] = "idx/emnist_letters/t10k-labels-idx1-ubyte.gz"
    found = Idx(name="emnist_letters", label_offset=1, **files).read(root)
    assert found.labels is not None
    assert found.images.shape == (20_800, 1, 28, 28)
    assert np.bincount(found.labels).tolist() == [800] * 26
