import contextlib
import errno
import logging
import multiprocessing
import os
import signal
import socket
import stat
import threading
import time

import pytest

from ood_bench.errors import ArtifactError
from ood_bench.utils import locks
from ood_bench.utils.files import version
from ood_bench.utils.locks import BusyError, is_locked, locked

_context = multiprocessing.get_context("fork")
_FULL = OSError(28, "No space left on device")


@pytest.fixture
def thing(tmp_path, monkeypatch):
    """Something to lock, with a heart that beats a hundred times as fast."""
    for name, seconds in (("HEARTBEAT", 0.1), ("LEASE", 0.9), ("STUCK", 1.2), ("_POLL", 0.01), ("_LOOK", 0.1)):
        monkeypatch.setattr(locks, name, seconds)
    return tmp_path / "thing"


def _hold(path, held, over, machine):
    if machine:
        socket.gethostname = lambda: machine
    with locked(path):
        held.set()
        over.wait(60)


@contextlib.contextmanager
def holder(path, machine=""):
    """Another process, perhaps of another machine, that holds the lock on ``path`` until the event is set."""
    held, over = _context.Event(), _context.Event()
    process = _context.Process(target=_hold, args=(path, held, over, machine))
    process.start()
    assert held.wait(60)
    yield process, over
    process.kill()
    process.join(60)


def seconds_to_lock(path):
    began = time.monotonic()
    with locked(path):
        return time.monotonic() - began


def test_it_is_a_file_that_goes_with_the_lock(tmp_path):
    with locked(tmp_path / "a" / "thing"):
        assert [path.name for path in (tmp_path / "a").iterdir()] == ["thing.lease"]
        assert is_locked(tmp_path / "a" / "thing")
    assert list((tmp_path / "a").iterdir()) == []
    assert not is_locked(tmp_path / "a" / "thing")


def test_another_process_waits(thing):
    with holder(thing, machine="elsewhere") as (process, over):
        with pytest.raises(BusyError), locked(thing, wait=False):
            pass
        timer = threading.Timer(1.5, over.set)  # longer than a lease lasts without a heartbeat
        timer.start()
        assert seconds_to_lock(thing) > 1
        process.join(60)
        assert process.exitcode == 0


def test_a_lock_on_something_else_is_free(thing):
    with holder(thing), locked(thing.with_name("other"), wait=False):
        pass


def test_a_dead_owner_of_this_machine_is_known_at_once(thing, monkeypatch):
    monkeypatch.setattr(locks, "LEASE", 3600.0)
    monkeypatch.setattr(locks, "STUCK", 3600.0)
    with holder(thing) as (process, _):
        process.kill()
        process.join(60)
        assert (thing.with_name("thing.lease")).exists()
        with locked(thing, wait=False):
            pass


def _inside(path, folder, number, times):
    socket.gethostname = lambda: f"machine-{number % 3}"
    for step in range(times):
        with locked(path):
            (folder / "inside").mkdir()  # fails if somebody else is inside
            (folder / f"{number}-{step}").touch()
            time.sleep(0.01)
            (folder / "inside").rmdir()


def _run(thing, workers, times):
    processes = [_context.Process(target=_inside, args=(thing, thing.parent, n, times)) for n in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * workers
    assert len(list(thing.parent.glob("?-*"))) == workers * times
    assert not list(thing.parent.glob("*lease*"))


def test_one_at_a_time(thing):
    _run(thing, workers=4, times=20)


@pytest.mark.parametrize("exchange", [True, False], ids=["local disk", "NFS"])
def test_one_at_a_time_after_a_stopped_owner_of_another_machine(thing, monkeypatch, exchange):
    """The owner is stopped; several processes of two machines wait; file servers cannot exchange two names."""
    if not exchange:
        monkeypatch.setattr("filelock._soft.exchange_names", lambda *_: False)
    with holder(thing, machine="elsewhere") as (process, over):
        os.kill(process.pid, signal.SIGSTOP)
        began = time.monotonic()
        _run(thing, workers=4, times=1)
        assert 0.9 < time.monotonic() - began < 20
        os.kill(process.pid, signal.SIGCONT)
        over.set()
        process.join(60)
        assert process.exitcode == 0


def test_an_empty_file_blocks_nobody_for_ever(thing, caplog):
    """A power cut leaves one behind."""
    thing.with_name("thing.lease").touch()
    assert 1.2 < seconds_to_lock(thing) < 20
    assert "its owner is dead" in caplog.text
    assert list(thing.parent.iterdir()) == []


def test_an_owner_that_lost_its_lock_is_warned_and_leaves_the_new_one_alone(thing, caplog):
    caplog.set_level(logging.WARNING)
    file = thing.with_name("thing.lease")
    with locked(thing):
        file.unlink()
        file.write_text("somebody else")
        end = time.monotonic() + 30
        while "another process may do the same work" not in caplog.text:
            assert time.monotonic() < end
            time.sleep(0.01)
    assert file.read_text() == "somebody else"


def test_a_process_that_died_while_it_removed_a_file_blocks_nobody(thing):
    """Its claim on the lock file is left behind."""
    file = thing.with_name("thing.lease")
    file.touch()
    claim = file.with_name(f".thing.lease.{version(file)}")
    claim.touch()
    os.utime(claim, (1, 1))
    assert 1.2 < seconds_to_lock(thing) < 20
    assert list(thing.parent.iterdir()) == []


def test_others_can_read_whose_lock_it_is(tmp_path):
    before = os.umask(0o077)
    try:
        with locked(tmp_path / "thing"):
            assert stat.S_IMODE((tmp_path / "thing.lease").stat().st_mode) == 0o644
    finally:
        os.umask(before)


def test_a_dead_lock_that_may_not_be_removed_is_named(thing, monkeypatch):
    """Another user's, in a folder with the sticky bit; only root could try it with a second user."""
    file = thing.with_name("thing.lease")
    file.touch()

    def refused(path, **_options):
        if path == file:
            raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.unlink", refused)
    with pytest.raises(ArtifactError, match=rf"cannot remove {file}, .*: let its owner delete it, or take the sticky"):
        seconds_to_lock(thing)


def test_a_clock_of_this_machine_that_is_off_frees_no_lock(thing, monkeypatch):
    with holder(thing, machine="elsewhere"):
        monkeypatch.setattr(time, "time", lambda: 1e10)
        assert is_locked(thing)


def test_a_file_that_nobody_has_touched_for_long_is_no_lock(thing):
    with holder(thing, machine="elsewhere") as (process, _):
        assert is_locked(thing)
        os.kill(process.pid, signal.SIGSTOP)
        os.utime(thing.with_name("thing.lease"), (1, 1))
        assert not is_locked(thing)


def test_a_lock_that_cannot_be_made(tmp_path):
    (tmp_path / "store").write_text("a file")
    with pytest.raises(ArtifactError, match=r"cannot lock at .*: a file lies where a folder is needed"):
        locked(tmp_path / "store" / "thing").__enter__()


def test_errors_of_the_guarded_block_pass_through(tmp_path):
    with pytest.raises(OSError, match="No space left") as caught, locked(tmp_path / "thing"):
        raise _FULL
    assert caught.value is _FULL
    assert list(tmp_path.iterdir()) == []
