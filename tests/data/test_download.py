import pytest

from ood_bench.data.download import download, is_web_page
from ood_bench.errors import DataError


@pytest.fixture
def file(tmp_path):
    return tmp_path / "root/set.bin"


def part_of(file):
    return file.with_name(file.name + ".part")


def test_a_file_is_fetched_whole_and_alone(mirror, file):
    download([mirror.address], file, md5=mirror.md5, size=len(mirror.content))
    assert file.read_bytes() == mirror.content
    assert [item.name for item in file.parent.iterdir()] == ["set.bin"]
    download([mirror.address], file, md5=mirror.md5)
    assert len(mirror.asked) == 1


def test_without_sums_a_file_is_taken_as_it_comes(mirror, file):
    download([mirror.address], file)
    assert file.read_bytes() == mirror.content


def test_a_cut_transfer_goes_on_where_it_stopped(mirror, file):
    mirror.cut_after = [30_000, 20_000]
    download([mirror.address], file, md5=mirror.md5)
    assert file.read_bytes() == mirror.content
    assert mirror.asked == [None, "bytes=30000-", "bytes=50000-"]


def test_a_later_call_resumes_too(mirror, file):
    mirror.cut_after = [10_000, 10_000, 10_000]
    with pytest.raises(DataError, match="cut after 30,000 of 102,400 bytes"):
        download([mirror.address], file, md5=mirror.md5)
    assert part_of(file).stat().st_size == 30_000
    download([mirror.address], file, md5=mirror.md5)
    assert file.read_bytes() == mirror.content
    assert mirror.asked[-1] == "bytes=30000-"


def test_a_server_without_ranges_starts_again(mirror, file):
    mirror.ranges, mirror.cut_after = False, [30_000]
    download([mirror.address], file, md5=mirror.md5)
    assert file.read_bytes() == mirror.content


@pytest.mark.parametrize("stale", [b"other content", bytes(200_000)])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_wrong_or_too_long_part_is_dropped(mirror, file, stale, ranges):
    mirror.ranges = ranges
    file.parent.mkdir()
    part_of(file).write_bytes(stale)
    download([mirror.address], file, md5=mirror.md5)
    assert file.read_bytes() == mirror.content


def test_a_complete_part_needs_no_request(mirror, file):
    file.parent.mkdir()
    part_of(file).write_bytes(mirror.content)
    download([mirror.address], file, md5=mirror.md5)
    assert file.read_bytes() == mirror.content
    assert mirror.asked == []


def test_a_part_of_unknown_content_is_not_trusted(mirror, file):
    file.parent.mkdir()
    part_of(file).write_bytes(b"other content")
    download([mirror.address], file)
    assert file.read_bytes() == mirror.content
    assert mirror.asked == [None]


@pytest.mark.parametrize("page_type", ["text/html; charset=utf-8", "application/gzip"])
def test_a_web_page_is_told_apart(mirror, file, page_type):
    mirror.page = b"\n<!DOCTYPE html><html><head><title>Dropbox &amp; friends</title></head>"
    mirror.page_type = page_type
    with pytest.raises(DataError, match='web page titled "Dropbox & friends"'):
        download([mirror.address], file)
    assert not part_of(file).exists()


def test_a_wrong_sum_is_refused(mirror, file):
    with pytest.raises(DataError, match="came whole but its MD5 is"):
        download([mirror.address], file, md5="0" * 32)
    assert not file.exists()
    assert not part_of(file).exists()


def test_a_wrong_size_is_refused_before_the_transfer(mirror, file):
    with pytest.raises(DataError, match="offers 102,400 bytes, not 5"):
        download([mirror.address], file, size=5)


def test_every_mirror_is_tried_and_named(mirror, file):
    bad = ["http://127.0.0.1:1/x", "ftp://127.0.0.1/x", "file:///etc/passwd", "/etc/passwd"]
    download([*bad, mirror.address], file, md5=mirror.md5)
    assert file.read_bytes() == mirror.content
    mirror.status = 404
    with pytest.raises(DataError) as caught:
        download([*bad, mirror.address], file.with_name("other"), md5=mirror.md5)
    message = str(caught.value)
    assert all(address in message for address in (*bad, mirror.address))
    assert "HTTP 404" in message
    assert message.count("only http and https") == 3
    assert f"put it at {file.with_name('other')}" in message


def test_no_mirror(file):
    with pytest.raises(DataError, match="no mirror is known"):
        download([], file)


def test_a_busy_server_is_asked_again(mirror, file):
    mirror.status = 503
    with pytest.raises(DataError, match="HTTP 503"):
        download([mirror.address], file)
    assert len(mirror.asked) == 3


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/x", "file:///etc/passwd"])
def test_redirects_stay_on_the_web(mirror, file, target):
    mirror.redirect = target
    with pytest.raises(DataError, match="edirect"):
        download([mirror.address], file)


def test_a_file_that_is_there_but_wrong_is_not_overwritten(mirror, file):
    file.parent.mkdir()
    file.write_bytes(b"mine")
    with pytest.raises(DataError, match=r"is there but its MD5 is .* delete it"):
        download([mirror.address], file, md5=mirror.md5)
    assert file.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("head", "expected"),
    [(b"  <HTML>", True), (b"\xef\xbb\xbf<!doctype HTML>", True), (b"\x1f\x8b\x08", False), (b"", False)],
)
def test_is_web_page(head, expected):
    assert is_web_page(head) is expected
