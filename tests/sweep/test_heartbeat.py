import json
import os
import time

import pytest

from ood_bench.errors import DataError
from ood_bench.sweep import heartbeat
from ood_bench.sweep.heartbeat import beating
from ood_bench.utils.progress import ticking
from ood_bench.utils.time_limit import OutOfTime

WORDS = ["experiment=quickstart", "seed=1"]
KEY = "0123456789abcdef"


@pytest.fixture
def said(tmp_path, monkeypatch):
    monkeypatch.setattr(heartbeat, "BEAT", 0.01)
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    return lambda: heartbeat.read(tmp_path, KEY)


def wait_for(happened):
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_it_tells_what_is_going_on_and_how_it_ended(said, tmp_path):
    assert said() is None
    with beating(tmp_path, KEY, WORDS), ticking("training lenet", 10, "images") as ticker:
        assert said().state == "running"
        before = said().version
        ticker.advance(4, "epoch 1/3")
        wait_for(lambda: said().work is not None and said().work.done == 4)
        now = said()
        assert (now.pid, now.slurm) == (os.getpid(), "")
        assert (now.work.what, now.work.note, now.work.total) == ("training lenet", "epoch 1/3", 10)
        assert heartbeat.has_changed(tmp_path, KEY, before)
    assert (said().state, said().work) == ("done", None)
    assert 0 <= said().silent < 60
    assert not heartbeat.has_changed(tmp_path, KEY, said().version)


def test_a_path_that_is_not_utf_8_stops_no_heart(said, tmp_path):
    with beating(tmp_path, KEY, ["data.root=/data/\udce4"]):
        assert said().state == "running"
    assert said().state == "done"


def test_the_innermost_work_is_told(said, tmp_path):
    with ticking("a pass", 10, "images"), ticking("inside", 5, "images"), beating(tmp_path, KEY, WORDS):
        assert said().work.what == "inside"


@pytest.mark.parametrize(
    ("error", "state", "line"),
    [
        (DataError("no such file"), "failed", "no such file"),
        (ValueError("a bug"), "failed", "ValueError: a bug"),
        (OutOfTime("no time"), "interrupted", ""),
        (SystemExit(-1), "interrupted", ""),
        (KeyboardInterrupt(), "interrupted", ""),
    ],
)
def test_how_it_ended(said, tmp_path, error, state, line):
    with pytest.raises(type(error)), beating(tmp_path, KEY, WORDS):
        raise error
    assert (said().state, said().error) == (state, line)


def test_a_store_that_cannot_be_written_stops_no_job(tmp_path):
    (tmp_path / "sweeps").write_text("a file where the folder should be")
    with beating(tmp_path, KEY, WORDS):
        done = True
    assert done


@pytest.mark.parametrize(
    ("variables", "job"),
    [
        ({}, ""),
        ({"SLURM_JOB_ID": "12"}, "12"),
        ({"SLURM_JOB_ID": "13", "SLURM_ARRAY_JOB_ID": "12"}, "13"),
        ({"SLURM_JOB_ID": "13", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "4"}, "12_4"),
    ],
)
def test_jobs_are_named_as_slurms_commands_take_them(said, tmp_path, monkeypatch, variables, job):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with beating(tmp_path, KEY, WORDS):
        assert said().slurm == job


def test_no_store_is_made_for_it(tmp_path):
    with beating(tmp_path / "store", KEY, WORDS):
        assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_a_torn_heartbeat_counts_as_none(said, tmp_path):
    path = heartbeat.path_of(tmp_path, KEY)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"state": "running"})[:-3])
    assert said() is None
