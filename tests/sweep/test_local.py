"""Sweeps on this machine that are killed in the middle, and go on."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ood_bench
from ood_bench.sweep import heartbeat
from ood_bench.sweep.plan import job_key

PATIENCE = 600.0
EPOCHS = 100
STORE = Path("outputs/quickstart/store")
UNDISTURBED = ["results.root=undisturbed", "store.root=undisturbed-store"]
METRICS = ["auroc", "aupr_in", "aupr_out", "fpr95"]


@pytest.fixture
def words(toy):
    toy.remove("train.epochs=1")
    return [*toy, "method=msp", f"train.epochs={EPOCHS}"]


def sweep(words, *more):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ood_bench", "-m", *words, "seed=0,1", *more]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(process):
    said, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, " ".join(said.split()).replace("- ", "-")


def training(words, seed):
    """Process that trains a seed's classifier and has finished an epoch."""
    end = time.monotonic() + PATIENCE
    key = job_key([*words, f"seed={seed}"])
    while True:
        said = heartbeat.read(STORE, key)
        if said and list((STORE / "classifiers").glob(f"*-seed{seed}-*.training/last.ckpt")):
            return said.pid
        assert time.monotonic() < end
        time.sleep(0.02)


def numbers(words, *elsewhere):
    """Metrics of both seeds, from the records that the sweep left or from an undisturbed run elsewhere."""
    return ood_bench.run([*words, "seed=[0,1]", *elsewhere])[["seed", *METRICS]]


def test_a_killed_sweep_goes_on_from_the_last_epoch(words):
    first = sweep(words)
    os.kill(training(words, 0), signal.SIGKILL)
    assert first.wait(PATIENCE) == -signal.SIGKILL
    first.stdout.close()

    status, said = ended(sweep(words))
    assert status == 0, said
    (epoch,) = re.findall(r"continuing lenet-digits-quickstart-seed0-\S+ from epoch (\d+) of", said)
    assert 0 < int(epoch) < EPOCHS
    assert said.endswith("sweep: 2 of 2 cells have a record")
    assert numbers(words).equals(numbers(words, *UNDISTURBED))


def test_a_killed_worker_of_joblib_stops_no_job(words):
    process = sweep(words, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    os.kill(training(words, 1), signal.SIGKILL)
    status, said = ended(process)
    assert status == 0, said
    assert "the launcher gave up" in said
    assert said.endswith("sweep: 2 of 2 cells have a record")
    assert numbers(words).equals(numbers(words, *UNDISTURBED))
