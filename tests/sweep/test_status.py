import json
import os
import threading
import time
from pathlib import Path

import pytest

from ood_bench.results.record import address
from ood_bench.sweep import heartbeat, manifest, status
from ood_bench.sweep.plan import job_key

SAMPLE = Path(__file__).parents[1] / "results/sample_record.json"


def job(number, results, key=None):
    words = ["experiment=quickstart", f"seed={number}"]
    return {
        "key": job_key(words),
        "words": words,
        "command": f"ood-bench experiment=quickstart seed={number}",
        "place": number,
        "results": str(results),
        "cells": {key or address("digits", "mnist", f"{number:016x}"): f"msp on mnist, seed {number}"},
        "classifiers": [],
    }


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """A store with a sweep of six jobs: done, running, failed, silent, interrupted, not yet started."""
    monkeypatch.setattr(heartbeat, "LOOK", 0.1)
    store, results = tmp_path / "store", tmp_path / "results"
    sample = json.loads(SAMPLE.read_text())
    path = results / "records/digits/lenet/plain/msp/mnist" / f"seed0-{sample['cell_key']}.json"
    path.parent.mkdir(parents=True)
    path.write_text(SAMPLE.read_text())
    done = address("digits", "mnist", sample["cell_key"])
    jobs = [job(number, results, done if number == 0 else None) for number in range(6)]
    folder = manifest.folder(store)
    (folder / "jobs").mkdir(parents=True)
    (folder / "0123.json").write_text(json.dumps({"started": 1e9, "jobs": jobs}))
    common = {"host": "node1", "pid": 4711, "slurm": "", "error": "", "work": None}
    work = {"what": "training lenet", "note": "epoch 3/10", "done": 30, "total": 100, "seconds": 3.0, "unit": "images"}
    states = {
        1: {"state": "running", "work": work, "slurm": "77_1"},
        2: {"state": "failed", "error": "loss is not finite"},
        3: {"state": "running"},
        4: {"state": "interrupted"},
    }
    for number, said in states.items():
        path = heartbeat.path_of(store, jobs[number]["key"])
        path.write_text(json.dumps({**common, **said}))
        if number == 3:
            os.utime(path, (time.time() - 600,) * 2)
    return store


def shown(capsys, *words):
    code = status.main([str(word) for word in words])
    return code, " ".join(capsys.readouterr().out.split())


def test_every_state_is_told(sweep, capsys):
    code, said = shown(capsys, "--store", sweep)
    assert code == 1
    assert "1 of 6 cells; 6 jobs: 1 running, 1 failed, 1 lost, 1 interrupted, 1 waiting, 1 done" in said
    assert "17 %" in said
    assert "running 0/1 seed=1 training lenet, epoch 3/10: 30 %, 7 s left (node1, SLURM job 77_1)" in said
    assert "failed 0/1 seed=2 loss is not finite" in said
    assert "lost 0/1 seed=3 no heartbeat for 60" in said
    assert "(node1, process 4711)" in said
    assert "interrupted 0/1 seed=4" in said
    assert "waiting 0/1 seed=5" in said
    for seed in (2, 3, 4):
        assert f"run again: ood-bench experiment=quickstart seed={seed}" in said
    assert "run again: ood-bench experiment=quickstart seed=1" not in said


def test_a_shard_is_done_when_its_job_says_so(sweep, capsys):
    jobs = [{**job(number, "nowhere"), "cells": {}} for number in (1, 2)]
    (manifest.folder(sweep) / "0123.json").write_text(json.dumps({"started": 1e9, "jobs": jobs}))
    said = {"host": "node1", "pid": 4711, "slurm": "", "error": "", "work": None}
    for number, state in ((1, "done"), (2, "running")):
        heartbeat.path_of(sweep, jobs[number - 1]["key"]).write_text(json.dumps({**said, "state": state}))
    code, text = shown(capsys, "--store", sweep)
    assert code == 1
    assert "1 of 2 cells; 2 jobs: 1 running, 1 done" in text
    assert "50 %" in text


def test_of_many_jobs_only_some_are_shown(sweep, capsys, monkeypatch):
    monkeypatch.setattr(status, "_MOST", 3)
    assert "and 2 more" in shown(capsys, "--store", sweep)[1]


def test_for_programs(sweep, capsys):
    assert status.main(["--store", str(sweep), "--json"]) == 1
    (told,) = json.loads(capsys.readouterr().out)
    assert told["sweep"] == "0123"
    assert [one["state"] for one in told["jobs"]] == ["done", "running", "failed", "lost", "interrupted", "waiting"]


def test_watching_ends_when_no_job_can_go_on(sweep, capsys, monkeypatch):
    """The running job fails, and while that is shown the waiting one as well."""

    def fail(number):
        path = heartbeat.path_of(sweep, job(number, "")["key"])
        path.write_text(
            json.dumps({"state": "failed", "error": "no", "host": "a", "pid": 1, "slurm": "", "work": None})
        )

    fail(1)
    monkeypatch.setattr(status.time, "sleep", lambda _: fail(5))
    code, said = shown(capsys, "--store", sweep, "--watch", "0.01")
    assert code == 1
    assert "3 failed, 1 lost, 1 interrupted, 1 done" in said


def test_the_latest_or_all(sweep, capsys):
    newer = {"started": 2e9, "jobs": [job(0, "nowhere")]}
    (manifest.folder(sweep) / "4567.json").write_text(json.dumps(newer))
    (manifest.folder(sweep) / "torn.json").write_text("{")
    assert "sweep 4567" in shown(capsys, "--store", sweep)[1]
    assert "sweep 0123" not in shown(capsys, "--store", sweep)[1]
    _, said = shown(capsys, "--store", sweep, "--all")
    assert said.index("sweep 4567") < said.index("sweep 0123")
    assert "(the only job)" in said


DAMAGED = [
    {"started": 2e9},
    {"started": 1e300, "jobs": [job(0, "nowhere")]},
    {"started": 2e9, "jobs": []},
    {"started": 2e9, "jobs": [{key: value for key, value in job(0, "nowhere").items() if key != "results"}]},
    {"started": 2e9, "jobs": [{**job(0, "nowhere"), "key": "../../elsewhere"}]},
    {"started": 2e9, "jobs": [job(0, "no\0where")]},
    [2e9],
]


@pytest.mark.parametrize("damaged", DAMAGED)
def test_a_damaged_plan_is_named_and_hides_no_other(sweep, capsys, caplog, damaged):
    (manifest.folder(sweep) / "4567.json").write_text(json.dumps(damaged))
    _, said = shown(capsys, "--store", sweep, "--all")
    assert "sweep 0123" in said
    assert "sweep 4567" not in said
    assert f"left out, damaged: {manifest.folder(sweep) / '4567.json'}: " in caplog.text


@pytest.mark.parametrize("damaged", [{"work": {"done": "many"}}, {"state": ["running"]}, {"host": None}])
def test_a_damaged_heartbeat_counts_as_none(sweep, capsys, damaged):
    path = heartbeat.path_of(sweep, job(1, "")["key"])
    path.write_text(json.dumps({**json.loads(path.read_text()), **damaged}))
    assert "waiting 0/1 seed=1" in shown(capsys, "--store", sweep)[1]


def test_a_heartbeat_too_deep_to_read_counts_as_none(sweep, capsys):
    heartbeat.path_of(sweep, job(1, "")["key"]).write_text("[" * 100_000)
    assert "waiting 0/1 seed=1" in shown(capsys, "--store", sweep)[1]


def replan(sweep, *jobs):
    (manifest.folder(sweep) / "0123.json").write_text(json.dumps({"started": 1e9, "jobs": jobs}))


def test_a_record_counts_in_its_own_results_folder_only(sweep, capsys):
    done = json.loads((manifest.folder(sweep) / "0123.json").read_text())["jobs"][0]
    replan(sweep, done, {**job(5, "elsewhere"), "cells": done["cells"]})
    assert "1 of 2 cells; 2 jobs: 1 waiting, 1 done" in shown(capsys, "--store", sweep)[1]


def test_a_plan_of_bare_keys_knows_its_records_and_two_files_of_one_cell_hide_nothing(sweep, capsys):
    (record,) = (sweep.parent / "results").rglob("*.json")
    record.with_name(f"seed1-{record.stem.partition('-')[2]}.json").write_text(record.read_text())
    done = json.loads((manifest.folder(sweep) / "0123.json").read_text())["jobs"][0]
    replan(sweep, {**done, "cells": {json.loads(record.read_text())["cell_key"]: "msp"}})
    assert "1 of 1 cells; 1 job: 1 done" in shown(capsys, "--store", sweep)[1]


def test_half_a_character_in_a_heartbeat_is_no_fault(sweep, capsys):
    path = heartbeat.path_of(sweep, job(2, "")["key"])
    path.write_text(json.dumps({**json.loads(path.read_text()), "error": "\ud800"}))
    assert status.main(["--store", str(sweep), "--json"]) == 1
    (told,) = json.loads(capsys.readouterr().out)
    assert told["jobs"][2]["note"] == "\ud800"


def test_a_long_command_stays_on_one_line(sweep, capsys):
    command = "ood-bench " + " ".join(f"data.root=/a/long/path/{number}" for number in range(20))
    replan(sweep, {**job(2, "nowhere"), "command": command})
    status.main(["--store", str(sweep)])
    assert f"run again: {command}\n" in capsys.readouterr().out


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf", "soon"])
def test_it_can_be_watched_every_so_many_seconds_only(sweep, capsys, seconds):
    with pytest.raises(SystemExit):
        status.main(["--store", str(sweep), "--watch", seconds])
    assert f"argument --watch: '{seconds}' is not a number of 0 or more" in capsys.readouterr().err


def test_nothing_in_the_files_reaches_the_terminal_as_a_command(sweep, capsys):
    evil = "\x1b]0;title\x07\x1b[31mred[/bold]"
    plan = {"started": 2e9, "jobs": [{**job(2, "nowhere"), "words": ["seed=2", evil], "command": f"ood-bench {evil}"}]}
    (manifest.folder(sweep) / "4567.json").write_text(json.dumps(plan))
    path = heartbeat.path_of(sweep, job(2, "")["key"])
    path.write_text(json.dumps({**json.loads(path.read_text()), "error": f"boom {evil}"}))
    _, said = shown(capsys, "--store", sweep)
    assert not set(said) & {"\x1b", "\x07"}
    assert "boom \\x1b]0;title\\x07\\x1b[31mred[/bold]" in said
    assert "run again: ood-bench \\x1b]0;title" in said


@pytest.mark.parametrize("skew", [-600, 0, 3600])
@pytest.mark.parametrize("lives", [True, False])
def test_the_clock_of_the_file_server_may_be_off(sweep, capsys, monkeypatch, skew, lives):
    """A job lives as long as its heartbeat changes, whatever age the file seems to have."""
    monkeypatch.setattr(heartbeat, "LOOK", 0.6)
    path = heartbeat.path_of(sweep, job(1, "")["key"])
    over = threading.Event()

    def beat():
        while not over.wait(0.02):
            os.utime(path, (time.time() + skew,) * 2)

    os.utime(path, (time.time() + skew,) * 2)
    thread = threading.Thread(target=beat)
    if lives:
        thread.start()
    _, said = shown(capsys, "--store", sweep)
    over.set()
    if lives:
        thread.join()
    assert ("running 0/1 seed=1" if lives or not skew else "lost 0/1 seed=1") in said


def test_a_store_without_sweeps(tmp_path, capsys):
    code, said = shown(capsys, "--store", tmp_path)
    assert code == 2
    assert "no sweep was started with store.root=" in said
