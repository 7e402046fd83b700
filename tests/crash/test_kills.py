"""Runs that are killed at random moments, again and again on one store: no record is torn, lost or another one.

The number of kills of each kind of run is in ``OOD_BENCH_KILLS``; ``make crash`` takes 25.
"""

import os

import numpy as np
import pytest

from ood_bench.results import RecordStore
from ood_bench.store import checking
from ood_bench.store.inventory import entries

KILLS = int(os.environ.get("OOD_BENCH_KILLS", "2"))
RUNS = {
    "quickstart": ["method=[msp,mahalanobis,fssd]", "ood=[uniform,gaussian]", "ood.gaussian.source.count=20"],
    "training": ["method=deep_ensemble", "method.deep_ensemble.members=2", "train.epochs=4"],
    "search": [
        "method=odin",
        "tune=id_only",
        "protocol.id_rows=20",
        "method.odin.magnitudes=[0,0.01,0.02,0.03]",
        "method.odin.temperatures=[10]",
    ],
    "sweep": ["-m", "method=msp,energy", "seed=0,1"],
}


def substances(root):
    store = RecordStore(root)
    found = {record.address: record.substance() for record in store.load()}
    assert store.problems == []
    return found


@pytest.mark.parametrize("kind", RUNS)
def test_killed_runs_leave_whole_records_and_the_last_one_completes_them(kind, forked, quick, tmp_path):
    words = [one for one in RUNS[kind] if one != "-m"]
    words = [*RUNS[kind][: len(RUNS[kind]) - len(words)], *quick, *words, f"data.root={tmp_path}"]

    def run(name, delay=None):
        places = [f"store.root={tmp_path / name}/store", f"results.root={tmp_path / name}/results"]
        forked.start(*words, *places, delay=delay)
        return forked.end()

    whole = run("whole")
    assert whole.status == 0, whole.said
    expected = substances(tmp_path / "whole/results")
    draw = np.random.default_rng(list(f"{kind} {KILLS}".encode()))
    for _ in range(KILLS):
        run("killed", draw.uniform(0, whole.seconds))
        assert substances(tmp_path / "killed/results").items() <= expected.items()
    last = run("killed")
    assert last.status == 0, last.said
    assert substances(tmp_path / "killed/results") == expected
    faults = {entry.path: checking.faults(entry, deep=True) for entry in entries(tmp_path / "killed/store")}
    assert {path: said for path, said in faults.items() if said} == {}
