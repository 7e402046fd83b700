import json
import os
import time
from pathlib import Path

import pytest

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
        "cells": {key or f"{number:016x}": f"msp on mnist, seed {number}"},
        "classifiers": [],
    }


@pytest.fixture
def sweep(tmp_path):
    """A store with a sweep of six jobs: done, running, failed, silent, interrupted, not yet started."""
    store, results = tmp_path / "store", tmp_path / "results"
    sample = json.loads(SAMPLE.read_text())
    path = results / "records/any" / f"seed0-{sample['cell_key']}.json"
    path.parent.mkdir(parents=True)
    path.write_text(SAMPLE.read_text())
    jobs = [job(number, results, sample["cell_key"] if number == 0 else None) for number in range(6)]
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


def test_for_programs(sweep, capsys):
    assert status.main(["--store", str(sweep), "--json"]) == 1
    (told,) = json.loads(capsys.readouterr().out)
    assert told["sweep"] == "0123"
    assert [one["state"] for one in told["jobs"]] == ["done", "running", "failed", "lost", "interrupted", "waiting"]


def test_watching_ends_when_no_job_can_go_on(sweep, capsys):
    for number in (1, 5):
        path = heartbeat.path_of(sweep, job(number, "")["key"])
        path.write_text(
            json.dumps({"state": "failed", "error": "no", "host": "a", "pid": 1, "slurm": "", "work": None})
        )
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


def test_a_store_without_sweeps(tmp_path, capsys):
    code, said = shown(capsys, "--store", tmp_path)
    assert code == 2
    assert "no sweep was started with store.root=" in said
