import gzip
import io
import os
import stat
import tarfile
import time
import zipfile

import numpy as np
import pytest
from PIL import Image

from ood_bench.data import archive as module
from ood_bench.data.archive import ArchiveSource, unpacked
from ood_bench.data.source import md5_file
from ood_bench.errors import DataError

FORMATS = {"a.tar": "w", "a.tar.gz": "w:gz", "a.tar.xz": "w:xz", "a.tar.bz2": "w:bz2", "a.zip": ""}


def png(value, side=4):
    buffer = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), value, np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def pack(path, members):
    """Writes members (a mapping or pairs of name and bytes) as the kind of archive that the path's name says."""
    pairs = members.items() if isinstance(members, dict) else members
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            for name, content in pairs:
                packed.writestr(name, content)
        return path
    with tarfile.open(path, FORMATS[path.name]) as tar:
        for name, content in pairs:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def source_of(path, **settings):
    return ArchiveSource(name="x", archive=path.name, path="LSUN/test", layout="flat", **settings)


def leftovers(folder):
    return [item for item in folder.iterdir() if item.name.startswith(".unpacking")]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_and_nothing_stays(tmp_path, name):
    members = {f"./LSUN/test/{value}.png": png(value) for value in range(5)}
    path = pack(tmp_path / name, {**members, "LSUN/train/0.png": b"not read", "LSUN/test/._0.png": b"hidden"})
    found = source_of(path, count=5, md5=md5_file(path).upper()).read(tmp_path)
    assert found.images[:, 0, 0, 0].tolist() == list(range(5))
    assert not leftovers(tmp_path)


def test_what_a_killed_process_left_behind_is_removed_a_day_later(tmp_path):
    path = pack(tmp_path / "a.zip", {"LSUN/test/0.png": png(1)})
    for name in ("a.zip-old", "a.zip-new", "b.zip-old"):
        (tmp_path / f".unpacking-{name}/LSUN").mkdir(parents=True)
        age = 90_000 if name.endswith("old") else 80_000
        os.utime(tmp_path / f".unpacking-{name}", (time.time() - age,) * 2)
    source_of(path).read(tmp_path)
    assert sorted(item.name for item in leftovers(tmp_path)) == [".unpacking-a.zip-new", ".unpacking-b.zip-old"]


def test_the_unpacked_folder_is_used_first(tmp_path, write_image):
    path = pack(tmp_path / "a.zip", {"LSUN/test/0.png": png(1)})
    packed = source_of(path).identity(tmp_path)
    write_image(tmp_path / "LSUN/test/0.png", np.full((4, 4, 3), 9, np.uint8))
    assert source_of(path).read(tmp_path).images.max() == 9
    assert source_of(path).identity(tmp_path) != packed


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip"])
@pytest.mark.parametrize("evil", ["../out.png", "LSUN/test/../../../out.png", "/out.png", "C:/out.png", "..\\out.png"])
def test_members_that_reach_outside_are_refused(tmp_path, name, evil):
    (tmp_path / "in").mkdir()
    path = pack(tmp_path / "in" / name, {evil: png(0)})
    with pytest.raises(DataError, match=r"refused: member .* outside"), unpacked(path, "LSUN/test"):
        pass
    assert not list(tmp_path.rglob("out.png"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        member = tarfile.TarInfo("LSUN/test/0.png")
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(DataError, match="link or a device"), unpacked(tmp_path / "a.tar", "LSUN/test"):
        pass


def test_links_in_a_zip_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        member = zipfile.ZipInfo("LSUN/test/0.png")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(member, "/etc/passwd")
    with pytest.raises(DataError, match="link or a device"), unpacked(tmp_path / "a.zip", "LSUN/test"):
        pass


def test_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    path = pack(tmp_path / "a.tar.xz", {"LSUN/test/0.png": bytes(1001)})
    with pytest.raises(DataError, match="more than fits"), unpacked(path, "LSUN/test"):
        pass


@pytest.mark.parametrize("name", FORMATS)
def test_a_cut_off_archive_is_one_clear_error(tmp_path, pixels, name):
    path = pack(tmp_path / name, {f"LSUN/test/{index}.png": pixels(5000, seed=index).tobytes() for index in range(4)})
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(DataError, match=r"corrupt or cut off.*get it again"), unpacked(path, "LSUN/test"):
        pass
    assert not leftovers(tmp_path)


@pytest.mark.parametrize("keep", [1024, 1300])
def test_a_tar_that_is_cut_between_its_files_is_noticed(tmp_path, keep):
    path = pack(tmp_path / "a.tar", {f"LSUN/test/{value}.png": png(value) for value in range(3)})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"corrupt or cut off \(no end mark"), unpacked(path, "LSUN/test"):
        pass


def test_other_files_under_the_name(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_text("<!DOCTYPE html><title>Dropbox</title>")
    with pytest.raises(DataError, match="a web page was saved"):
        source_of(path).read(tmp_path)
    path.write_bytes(b"\0" * 100)
    with pytest.raises(DataError, match=r"MD5 is .* not 00, so it is incomplete or changed"):
        source_of(path, md5="00").read(tmp_path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
@pytest.mark.parametrize("second", ["LSUN/test/0.png", "./LSUN/test/0.png", "LSUN\\test\\0.png"])
def test_two_members_of_one_name_are_refused(tmp_path, name, second):
    path = pack(tmp_path / name, [("LSUN/test/0.png", png(1)), (second, png(2))])
    with pytest.raises(DataError, match=r"refused: it holds '.*' twice"), unpacked(path, "LSUN/test"):
        pass


def test_back_slashes_of_windows_are_folders(tmp_path):
    path = pack(tmp_path / "a.zip", {"LSUN\\": b"", "LSUN\\test\\": b"", "LSUN\\test\\0.png": png(7)})
    assert source_of(path).read(tmp_path).images.max() == 7


def test_messages_name_the_archive_and_not_where_it_was_unpacked(tmp_path):
    path = pack(tmp_path / "a.zip", {"LSUN/test/test/0.png": png(7), "LSUN/test/notes.txt": b""})
    with pytest.raises(DataError, match=rf"directly in {path}/LSUN/test .*it holds the folder test: set source\.path"):
        source_of(path).read(tmp_path)
    pack(path, {"LSUN/test/0.png": b""})
    with pytest.raises(DataError, match=rf"^{path}/LSUN/test/0\.png: not a whole picture: empty file: mend"):
        source_of(path).read(tmp_path)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
@pytest.mark.parametrize("size", [1 << 30, (1 << 20) + 1])
def test_a_header_that_would_fill_the_memory_is_refused_unread(tmp_path, kind, size):
    member = tarfile.TarInfo("LSUN/test/0.png")
    member.size, member.type = size, kind
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(member.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    with pytest.raises(DataError, match=r"a header of .* bytes"), unpacked(tmp_path / "a.tar.gz", "LSUN/test"):
        pass


def test_a_negative_size_is_refused(tmp_path):
    header = bytearray(tarfile.TarInfo("LSUN/test/0.png").tobuf(tarfile.GNU_FORMAT))
    header[124:136], header[148:156] = b"\xff" * 12, b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a.tar").write_bytes(header + bytes(1024))
    with pytest.raises(DataError, match=r"a\.tar: refused: .* length of -1"), unpacked(tmp_path / "a.tar", "LSUN/test"):
        pass


def test_a_pipe_is_no_archive(tmp_path):
    os.mkfifo(tmp_path / "a.zip")
    with pytest.raises(DataError, match=r"a\.zip is no ordinary file"):
        source_of(tmp_path / "a.zip").read(tmp_path)


def test_a_missing_folder_says_what_is_there(tmp_path):
    path = pack(tmp_path / "a.zip", {"iSUN/1.png": png(0)})
    with pytest.raises(DataError, match=r"no folder LSUN/test \(it holds: iSUN\)"):
        source_of(path).read(tmp_path)


def test_fetching(tmp_path, mirror):
    made = pack(tmp_path / "a.zip", {"LSUN/test/0.png": png(3)})
    mirror.content = made.read_bytes()
    root = tmp_path / "root"
    source = source_of(made, mirrors=(mirror.address + "a.zip?dl=1",), md5=mirror.md5, size_bytes=len(mirror.content))
    assert "x: neither" in (source.missing(root) or "")
    assert "add data.download=true" in (source.missing(root) or "")
    source.fetch(root)
    assert source.missing(root) is None
    source.fetch(root)
    assert len(mirror.asked) == 1
    assert source.read(root).images.max() == 3
    with pytest.raises(DataError, match="no mirror is known; get it by hand: ask"):
        source_of(made, by_hand="ask").fetch(tmp_path / "other")
