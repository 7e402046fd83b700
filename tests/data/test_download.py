import pytest

from ood_bench.data.download import download, is_web_page
from ood_bench.errors import ArtifactError, DataError


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


@pytest.mark.parametrize("length", [None, str(1 << 30)])
def test_no_more_than_the_stated_size_is_taken(mirror, file, length):
    mirror.endless, mirror.headers = True, {"Content-Length": length}
    size = len(mirror.content) + 5
    with pytest.raises(DataError, match=r"sends more than 102,405 bytes|offers 1,073,741,824 bytes, not 102,405"):
        download([mirror.address], file, size=size)
    assert not file.exists()
    assert not part_of(file).exists()


def test_what_no_disk_holds_is_not_begun(mirror, file):
    mirror.headers = {"Content-Length": str(1 << 50)}
    with pytest.raises(DataError, match=r"offers 1,125,899,906,842,624 bytes, more than fits \(at most 40 GiB\)"):
        download([mirror.address], file, md5=mirror.md5)


def test_without_a_stated_length_there_is_a_limit_too(mirror, file, monkeypatch):
    monkeypatch.setattr("ood_bench.data.download.MOST_BYTES", 200_000)
    mirror.endless, mirror.headers = True, {"Content-Length": None}
    with pytest.raises(DataError, match="sends more than 200,000 bytes"):
        download([mirror.address], file, md5=mirror.md5)


@pytest.mark.parametrize("length", ["abc", "-5", "9" * 5000, "\u00b2"])
def test_a_length_that_is_none_is_refused(mirror, file, length):
    mirror.headers = {"Content-Length": length}
    with pytest.raises(DataError, match="states a length of '"):
        download([mirror.address], file, md5=mirror.md5)


def test_a_server_without_lengths_is_held_to_the_size(mirror, file):
    mirror.headers, mirror.cut_after = {"Content-Length": None}, [30_000]
    download([mirror.address], file, md5=mirror.md5, size=len(mirror.content))
    assert file.read_bytes() == mirror.content
    assert mirror.asked == [None, "bytes=30000-"]


@pytest.mark.parametrize(
    "address",
    [f"http://{'a' * 300}/x", "http://127.0.0.1:99999/x", "http://a b/x", "http://[::1/x", "http://127.0.0.1/x\r\ny"],
)
def test_addresses_that_cannot_be_are_refused_and_the_next_is_tried(mirror, file, caplog, address):
    download([address, mirror.address], file, md5=mirror.md5)
    assert "no valid address" in caplog.text
    assert file.read_bytes() == mirror.content


def test_a_trickle_is_ended(mirror, file, monkeypatch):
    monkeypatch.setattr("ood_bench.data.transfer._PATIENCE", 0.05)
    monkeypatch.setattr("ood_bench.data.download._ATTEMPTS", 1)
    mirror.pause = 0.01
    with pytest.raises(DataError, match=r"too slow: \d+ bytes in 0 s, fewer than 1,024 a second"):
        download([mirror.address], file, md5=mirror.md5)


def test_a_trickle_of_headers_is_ended(mirror, file, monkeypatch):
    monkeypatch.setattr("ood_bench.data.transfer._PATIENCE", 0.2)
    monkeypatch.setattr("ood_bench.data.download._ATTEMPTS", 1)
    mirror.endless_head = True
    with pytest.raises(DataError, match="no whole answer within 0 s"):
        download([mirror.address], file, md5=mirror.md5)
    mirror.endless_head = False


def test_wrong_bytes_after_a_break_are_noticed(mirror, file):
    mirror.cut_after, mirror.wrong_rest = [30_000], True
    download([mirror.address], file, md5=mirror.md5)
    assert file.read_bytes() == mirror.content
    assert mirror.asked == [None, "bytes=30000-", None]


def test_without_a_sum_a_broken_transfer_begins_again_and_is_named_unverified(mirror, file, caplog):
    mirror.cut_after, mirror.wrong_rest = [30_000], True
    download([mirror.address], file)
    assert file.read_bytes() == mirror.content
    assert mirror.asked == [None, None]
    assert "set.bin: no checksum is known: the 102,400 bytes that came were not verified" in caplog.text


@pytest.mark.parametrize(
    ("headers", "page", "message"),
    [
        ({"Content-Type": "application/octet-stream"}, b"\n<!-- x --><html><body>expired</body></html>", "a web page"),
        ({"Content-Type": "application/json"}, b'{"error": "quota"}', 'answered with JSON, .* "quota"'),
        ({"Content-Type": "application/zip", "Content-Encoding": "gzip"}, b"PK", "packed as gzip"),
    ],
)
def test_other_answers_are_not_taken_for_the_file(mirror, file, headers, page, message):
    mirror.headers, mirror.page = headers, page
    with pytest.raises(DataError, match=message):
        download([mirror.address], file)


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


def test_a_data_root_that_cannot_be_written_names_its_own_setting(mirror, tmp_path):
    (tmp_path / "taken").write_text("a file")
    remedy = r"remove it, or set data\.root \(--root, or OOD_BENCH_DATA\) elsewhere"
    with pytest.raises(ArtifactError, match=f"a file lies where a folder is needed: {remedy}"):
        download([mirror.address], tmp_path / "taken/file", md5=mirror.md5)


@pytest.mark.parametrize(
    ("head", "expected"),
    [(b"  <HTML>", True), (b"\xef\xbb\xbf<!doctype HTML>", True), (b"\x1f\x8b\x08", False), (b"", False)],
)
def test_is_web_page(head, expected):
    assert is_web_page(head) is expected
