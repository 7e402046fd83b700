import multiprocessing
import os
import threading
import time

import pytest

from ood_bench.utils import files, lease
from ood_bench.utils.files import locked
from ood_bench.utils.lease import Lease, Witness, machine

ELSEWHERE = "elsewhere-1 4711 00ff"


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "PATIENCE", 0.4)
    monkeypatch.setattr(lease, "BEAT", 0.02)
    return tmp_path / "thing.lease"


def seconds_to_take(one):
    began = time.monotonic()
    one.take()
    return time.monotonic() - began


def test_it_is_there_while_it_is_held(path):
    one = Lease(path)
    one.take()
    assert path.read_text().startswith(f"{machine()} {os.getpid()} ")
    one.give_back()
    assert list(path.parent.iterdir()) == []


def test_its_heart_beats(path):
    one = Lease(path)
    one.take()
    os.utime(path, (1, 1))
    end = time.monotonic() + 30
    while path.stat().st_mtime == 1:
        assert time.monotonic() < end
        time.sleep(0.01)
    one.give_back()


def test_what_this_machine_left_behind_is_taken_at_once(path, monkeypatch):
    monkeypatch.setattr(lease, "PATIENCE", 3600)
    path.write_text(f"{machine()} 1 dead")
    one = Lease(path)
    assert seconds_to_take(one) < 60
    assert "dead" not in path.read_text()
    one.give_back()


@pytest.mark.parametrize("text", [ELSEWHERE, ""])
def test_another_machines_is_taken_when_it_has_been_silent(path, text):
    path.write_text(text)
    one = Lease(path)
    assert seconds_to_take(one) >= 0.4
    assert path.read_text().startswith(machine())
    one.give_back()
    assert list(path.parent.iterdir()) == []


def test_a_beating_heart_is_waited_for(path):
    path.write_text(ELSEWHERE)
    over = threading.Event()
    beats = []

    def beat():
        while not over.wait(0.02):
            os.utime(path, (len(beats), len(beats)))
            beats.append(1)

    heart = threading.Thread(target=beat)
    heart.start()
    taker = threading.Thread(target=(one := Lease(path)).take)
    taker.start()
    taker.join(1.2)
    assert taker.is_alive()
    assert path.read_text() == ELSEWHERE
    over.set()
    heart.join()
    taker.join(60)
    assert not taker.is_alive()
    one.give_back()


def test_an_owner_that_lost_its_lease_leaves_the_new_one_alone(path):
    one = Lease(path)
    one.take()
    path.write_text(ELSEWHERE)
    one.give_back()
    assert path.read_text() == ELSEWHERE


def test_a_lease_that_changed_hands_meanwhile_is_put_back(path):
    path.write_text("somebody new")
    Lease(path)._remove(ELSEWHERE)
    assert path.read_text() == "somebody new"
    assert list(path.parent.iterdir()) == [path]


def test_a_witness_goes_by_its_own_clock(path):
    witness = Witness(path)
    assert witness.look()[0] == ""
    assert witness.abandoned() == ""
    path.write_text(ELSEWHERE)
    os.utime(path, (0, 0))  # ages ago by the owner's clock
    assert witness.abandoned() == ""
    time.sleep(0.45)
    assert witness.abandoned() == ELSEWHERE
    path.write_text(f"{machine()} 1 abc")
    witness.look()
    time.sleep(0.45)
    assert witness.abandoned() == ""  # the system knows whether a process of this machine is alive


def _hold(path, held, over):
    with locked(path):
        held.set()
        over.wait(60)


def test_a_lock_that_the_file_server_keeps_for_a_dead_machine(path, monkeypatch):
    """A process stands in for the server: it holds the system's lock, under another machine's silent lease."""
    monkeypatch.setattr(files, "_LOOK", 0.1)
    context = multiprocessing.get_context("fork")
    held, over = context.Event(), context.Event()
    thing = path.with_suffix("")
    holder = context.Process(target=_hold, args=(thing, held, over))
    holder.start()
    assert held.wait(60)
    path.write_text(ELSEWHERE)
    with locked(thing):
        assert holder.is_alive()
        assert path.read_text().startswith(machine())
    over.set()
    holder.join(60)
    assert holder.exitcode == 0
    assert not path.exists()


def _count(path, folder, number):
    for step in range(20):
        with locked(path):
            (folder / "inside").mkdir()  # fails if somebody else is inside
            (folder / f"{number}-{step}").touch()
            (folder / "inside").rmdir()


def test_one_at_a_time(tmp_path):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_count, args=(tmp_path / "thing", tmp_path, number)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert len(list(tmp_path.glob("?-*"))) == 80
