import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ood_bench.data.decode import Decoding, decode_file, decode_files
from ood_bench.errors import DataError


def centre(picture):
    left, top = (round((side - 32) / 2) for side in picture.size)
    return picture.crop((left, top, left + 32, top + 32))


@pytest.mark.parametrize("size", [(40, 50), (50, 41), (37, 32), (100, 300)])
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_policies_are_those_of_pil(tmp_path, pixels, write_image, size, name):
    path = write_image(tmp_path / name, pixels(*size, 3))
    picture = Image.open(path)
    sides = tuple(32 * side // min(size) for side in picture.size)
    expected = {
        "squash": picture.resize((32, 32), Image.Resampling.BILINEAR),
        "short_side_crop": centre(picture.resize(sides, Image.Resampling.BILINEAR)),
        "center_crop": centre(picture),
        "none": picture,
    }
    for resize, wanted in expected.items():
        ours = decode_file(path, 0, Decoding("RGB", resize, None if resize == "none" else (32, 32)))
        np.testing.assert_array_equal(ours.transpose(1, 2, 0), np.asarray(wanted), err_msg=resize)


def test_random_crops_are_keyed_by_row_and_seed(tmp_path, write_image):
    rows, columns = np.mgrid[:64, :64].astype(np.uint8)
    path = write_image(tmp_path / "a.png", np.stack([rows, columns, rows], axis=-1))
    crops = [decode_file(path, index, Decoding("RGB", "random_crop", (32, 32), 5)) for index in range(300)]
    again = decode_file(path, 7, Decoding("RGB", "random_crop", (32, 32), 5))
    np.testing.assert_array_equal(crops[7], again)
    corners = np.array([crop[:2, 0, 0] for crop in crops])
    assert corners.min() == 0
    assert corners.max() == 32
    other = [decode_file(path, index, Decoding("RGB", "random_crop", (32, 32), 6))[:2, 0, 0] for index in range(300)]
    assert (corners != np.array(other)).any(axis=1).mean() > 0.9


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "1", "LA"])
@pytest.mark.parametrize("wanted", ["RGB", "L"])
def test_modes_are_converted_as_pil_does(tmp_path, pixels, mode, wanted):
    picture = Image.fromarray(pixels(8, 9, 3)).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    picture.save(path)
    found = decode_file(path, 0, Decoding(wanted))
    assert found.shape == ((3, 8, 9) if wanted == "RGB" else (1, 8, 9))
    np.testing.assert_array_equal(found.transpose(1, 2, 0).squeeze(), np.asarray(Image.open(path).convert(wanted)))


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, bits, *, colour, channels, rows=None):
    """A black PNG file; without its rows where they are given as another number."""
    row = bytes(1 + width * channels * bits // 8)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    data = zlib.compress(row * (height if rows is None else rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


NO_PICTURES = {
    "rgb48.png": (png(8, 8, 16, colour=2, channels=3), "pixels of 16 bits a channel; convert the file to 8 bits"),
    "rgba64.png": (png(8, 8, 16, colour=6, channels=4), "pixels of 16 bits a channel"),
    "wide.ppm": (b"P6 4 4 1023\n" + bytes(96), "pixels of 16 bits a channel"),
    "bomb170.png": (
        png(13_000, 13_000, 1, colour=0, channels=1, rows=1),
        "13000x13000 pixels are more than 89,478,485: shrink it",
    ),
    "bomb4000.png": (png(60_000, 60_000, 1, colour=0, channels=1, rows=1), "exceeds limit"),
    "empty.png": (b"", "not a whole picture: empty file"),
    "text.png": (b"some text", "not a whole picture: of no known image format"),
    "svg.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "of no known image format"),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", NO_PICTURES)
def test_no_pictures_are_refused_before_they_fill_the_memory(tmp_path, name):
    content, message = NO_PICTURES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}: .*{re.escape(message)}") as caught:
        decode_file(tmp_path / name, 0, Decoding())
    assert "0x" not in str(caught.value).replace("13000x", "")


def test_8_bits_in_every_container_stay_readable(tmp_path):
    (tmp_path / "a.png").write_bytes(png(8, 8, 8, colour=2, channels=3))
    (tmp_path / "a.ppm").write_bytes(b"P6 2 2 100\n" + bytes([100] * 12))
    assert decode_file(tmp_path / "a.png", 0, Decoding()).shape == (3, 8, 8)
    assert decode_file(tmp_path / "a.ppm", 0, Decoding()).tolist() == [[[255, 255], [255, 255]]] * 3


def test_too_little_memory_is_said_with_the_name(tmp_path, pixels, write_image, monkeypatch):
    path = write_image(tmp_path / "a.png", pixels(8, 8, 3))
    with monkeypatch.context() as patch:
        for step in ("convert", "tobytes"):
            patch.setattr(Image.Image, step, lambda *_: bytearray(1 << 62))
            with pytest.raises(DataError, match=r"a\.png: decoding it needs more memory"):
                decode_file(path, 0, Decoding())
    with pytest.raises(DataError, match=r"x: .* images 3x8x8 need .* GiB of memory: set source\.size"):
        decode_files(Endless(path), Decoding(), "x")


class Endless(list):
    """As many copies of one path as no memory holds the images of."""

    def __init__(self, path):
        super().__init__([path])

    def __len__(self):
        return 1 << 50


def test_deep_pixels_are_refused(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 900).save(path)
    with pytest.raises(DataError, match=r"a\.png: pixels of mode I.*8 bits"):
        decode_file(path, 0, Decoding("L"))


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_cut_off_file_is_named(tmp_path, pixels, write_image, name):
    path = write_image(tmp_path / name, pixels(40, 40, 3))
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(DataError, match=f"{name}: not a whole picture"):
        decode_file(path, 0, Decoding())


def test_a_web_page_is_named(tmp_path):
    (tmp_path / "a.jpg").write_text("<html><body>gone</body></html>")
    with pytest.raises(DataError, match="a web page was saved"):
        decode_file(tmp_path / "a.jpg", 0, Decoding())


def test_a_crop_larger_than_the_picture_is_refused(tmp_path, pixels, write_image):
    path = write_image(tmp_path / "a.png", pixels(20, 40, 3))
    with pytest.raises(DataError, match=r"a\.png: 20x40 is smaller than the crop 32x32"):
        decode_file(path, 0, Decoding("RGB", "center_crop", (32, 32)))


def test_many_files_keep_their_order(tmp_path, pixels, write_image):
    arrays = pixels(300, 6, 5, 3)
    paths = [write_image(tmp_path / f"{index}.png", array) for index, array in enumerate(arrays)]
    np.testing.assert_array_equal(decode_files(paths, Decoding(), "x")[0], arrays.transpose(0, 3, 1, 2))


def test_differing_sizes_need_a_policy(tmp_path, pixels, write_image):
    paths = [write_image(tmp_path / f"{side}.png", pixels(side, 8, 3)) for side in (8, 9)]
    with pytest.raises(DataError, match=r"9\.png is 9x8 but 8\.png is 8x8; set source\.size and source\.resize"):
        decode_files(paths, Decoding(), "x")
    assert decode_files(paths, Decoding("L", "squash", (4, 6)), "x")[0].shape == (2, 1, 4, 6)
