import contextlib
import errno
import hashlib
import math
import os
import resource
import stat
from pathlib import Path

import pytest

from ood_bench.errors import ArtifactError
from ood_bench.utils.files import (
    canonical_json,
    clear_io_errors,
    content_key,
    make_folder,
    sha256_file,
    staged_folder,
    write_atomically,
)

FULL, DENIED = OSError(errno.ENOSPC, "No space left on device"), PermissionError(errno.EACCES, "Permission denied")


def failing(error):
    def fail(*_args, **_kwargs):
        raise error

    return fail


@contextlib.contextmanager
def size_limit(most):
    """The system itself refuses to write files above this size, in the middle of a write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_is_written_can_be_read_by_all(tmp_path):
    path = tmp_path / "a" / "b" / "file.bin"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(path.parent.iterdir()) == [path]


STEPS = [
    ("os.fsync", FULL, "the disk is full: free some space, or set store.root"),
    ("pathlib.Path.chmod", DENIED, "no permission: set store.root"),
    ("os.fsync", OSError(errno.EIO, "Input/output error"), "Input/output error"),
    ("os.fsync", OSError(errno.EDQUOT, "Disk quota exceeded"), "the disk is full"),
    ("pathlib.Path.replace", OSError(errno.EROFS, "Read-only file system"), "no permission"),
]


@pytest.mark.parametrize("failure", STEPS, ids=lambda failure: f"{failure[0]} {failure[1].strerror}")
@pytest.mark.parametrize("before", [None, b"the old content"])
def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch, failure, before):
    step, error, mend = failure
    path = tmp_path / "file.bin"
    if before is not None:
        path.write_bytes(before)
    monkeypatch.setattr(step, failing(error))
    with pytest.raises(ArtifactError) as caught:
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert str(caught.value).startswith(f"cannot write at {path}: {mend}")
    assert caught.value.__cause__ is error
    assert [one.read_bytes() for one in tmp_path.iterdir()] == ([] if before is None else [before])


def test_a_write_that_breaks_off_in_the_middle(tmp_path):
    path = tmp_path / "file.bin"
    write_atomically(path, b"old")
    with size_limit(50_000), pytest.raises(ArtifactError, match=r"cannot write at .*file\.bin: File too large"):
        write_atomically(path, bytes(200_000))
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"old"]


def test_caches_do_not_wait_for_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(FULL))
    write_atomically(tmp_path / "file.bin", b"new", durable=False)
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"new"]


@contextlib.contextmanager
def umask(bits):
    before = os.umask(bits)
    try:
        yield
    finally:
        os.umask(before)


SHARED = [
    (0o2775, 0o022, 0o2775, 0o664),
    (0o2775, 0o077, 0o2775, 0o664),
    (0o755, 0o022, 0o755, 0o644),
    (0o700, 0o022, 0o755, 0o644),
]


@pytest.mark.parametrize(("outer", "bits", "folders", "files"), SHARED)
def test_what_is_made_is_the_groups_where_the_folder_around_is(tmp_path, outer, bits, folders, files):
    """Two users of one group can share a store, whatever their umask: read, replace and delete what the other made."""
    tmp_path.chmod(outer)
    with umask(bits):
        make_folder(tmp_path / "a" / "b")
        make_folder(tmp_path / "a" / "b")
        with staged_folder(tmp_path / "a" / "artifact") as staged:
            (staged / "deeper").mkdir()
            (staged / "deeper" / "weights").write_text("1")
        write_atomically(tmp_path / "a" / "record", b"1")
    for inside in ("a", "a/b", "a/artifact", "a/artifact/deeper"):
        assert stat.S_IMODE((tmp_path / inside).stat().st_mode) & 0o2770 == folders & 0o2770
    for inside in ("a/artifact/deeper/weights", "a/record"):
        assert stat.S_IMODE((tmp_path / inside).stat().st_mode) == files


def test_a_refused_permission_names_the_owner(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(Path, "owner", lambda _: "alice")
    with pytest.raises(ArtifactError, match=rf"no permission, {tmp_path} belongs to alice: set store\.root"):
        raise_in_clear_io_errors(tmp_path / "a" / "b", DENIED)


def raise_in_clear_io_errors(path, error):
    with clear_io_errors("write", path):
        raise error


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file.bin", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "store").write_text("a file")
    for path in (tmp_path / "store" / "x.bin", tmp_path / "store" / "deeper" / "x.bin"):
        with pytest.raises(ArtifactError, match="a file lies where a folder is needed: remove it, or set store"):
            write_atomically(path, b"new")


def test_a_staged_folder_appears_whole(tmp_path):
    final = tmp_path / "a" / "final"
    with staged_folder(final) as folder:
        (folder / "inside").write_text("content")
        assert not final.exists()
        assert folder.parent == final.parent
    assert (final / "inside").read_text() == "content"
    assert stat.S_IMODE(final.stat().st_mode) == 0o755
    assert list(final.parent.iterdir()) == [final]


def stage(final, error=None):
    with staged_folder(final) as folder:
        (folder / "inside").write_text("content")
        if error is not None:
            raise error


@pytest.mark.parametrize("error", [ValueError("any"), KeyboardInterrupt()])
def test_a_failed_block_leaves_no_folder(tmp_path, error):
    with pytest.raises(type(error)):
        stage(tmp_path / "final", error)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_folder(tmp_path, monkeypatch):
    with pytest.raises(ArtifactError, match=r"cannot write at .*final: the disk is full"):
        stage(tmp_path / "final", FULL)
    monkeypatch.setattr(Path, "rename", failing(FULL))
    with pytest.raises(ArtifactError, match="the disk is full"):
        stage(tmp_path / "final")
    assert list(tmp_path.iterdir()) == []


def test_who_came_first_stays(tmp_path):
    final = tmp_path / "final"
    with staged_folder(final) as folder:
        (folder / "inside").write_text("second")
        final.mkdir()
        (final / "inside").write_text("first")
    assert (final / "inside").read_text() == "first"
    assert list(tmp_path.iterdir()) == [final]


def test_a_file_in_the_place_of_the_final_folder(tmp_path):
    (tmp_path / "final").write_text("a file")
    with pytest.raises(ArtifactError, match="a file lies where a folder is needed"):
        stage(tmp_path / "final")
    assert (tmp_path / "final").read_text() == "a file"
    assert list(tmp_path.iterdir()) == [tmp_path / "final"]


def test_other_errors_are_not_the_systems():
    with pytest.raises(ValueError, match="mine"), clear_io_errors("write", Path("x")):
        raise ValueError("mine")


def test_canonical_json_is_one_text_for_equal_values():
    value = {"b": [1, 2.5, None, True], "a": {"y": "ö", "x": "1"}}
    assert canonical_json(value) == '{"a":{"x":"1","y":"ö"},"b":[1,2.5,null,true]}'
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)
    assert canonical_json((1, 2)) == canonical_json([1, 2])


@pytest.mark.parametrize(("value", "kind"), [({"a": [math.nan]}, ValueError), ({"a": Path("x")}, TypeError)])
def test_canonical_json_refuses_what_is_no_json(value, kind):
    with pytest.raises(kind, match="JSON"):
        canonical_json(value)


def test_a_path_that_is_not_utf_8_has_a_key():
    expected = hashlib.sha256(b'["/data/\xe4"]').hexdigest()[:16]
    assert content_key([os.fsdecode(b"/data/\xe4")]) == expected


def test_content_keys():
    expected = hashlib.sha256(b'{"a":1}').hexdigest()[:16]
    assert content_key({"a": 1}) == expected
    values = [{"a": 1}, {"a": 1.5}, {"a": "1"}, {"a": None}, {"a": True}, {"a": [1]}, {"b": 1}, [], {}, ""]
    assert len({content_key(value) for value in values}) == len(values)


def test_sha256_of_files(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    assert sha256_file(tmp_path / "file") == hashlib.sha256(b"content").hexdigest()
