"""Sweeps on this machine that are killed in the middle, and go on."""

import os
import re
import signal
import time
from pathlib import Path

import ood_bench
from ood_bench.sweep import heartbeat
from ood_bench.sweep.plan import job_key

PATIENCE = 600.0
EPOCHS = 8
STORE = Path("outputs/quickstart/store")
UNDISTURBED = ["results.root=undisturbed", "store.root=undisturbed-store"]
METRICS = ["auroc", "aupr_in", "aupr_out", "fpr95"]
KILLER = """
import os, pathlib, signal
from hydra.experimental.callback import Callback

class Killer(Callback):
    def on_job_start(self, config, **_):
        killed = pathlib.Path("killed")
        if config.seed == 1 and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
"""


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


def test_a_killed_sweep_goes_on_from_the_last_epoch(toy, forked):
    toy.remove("train.epochs=1")
    words = [*toy, "method=msp", f"train.epochs={EPOCHS}"]
    process = forked.start("-m", *words, "seed=0,1")
    assert training(words, 0) == process
    os.kill(process, signal.SIGKILL)
    assert forked.end().status == -signal.SIGKILL

    forked.start("-m", *words, "seed=0,1")
    ended = forked.end()
    assert ended.status == 0, ended.said
    (epoch,) = re.findall(r"continuing lenet-digits-quickstart-seed0-\S+ from epoch (\d+) of", ended.said)
    assert 0 < int(epoch) < EPOCHS
    assert ended.said.endswith("sweep: 2 of 2 cells have a record")
    assert numbers(words).equals(numbers(words, *UNDISTURBED))


def test_a_killed_worker_of_joblib_stops_no_job(toy, forked):
    Path("killer.py").write_text(KILLER)
    words = [*toy, "method=msp"]
    launcher = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "+hydra.callbacks.kill._target_=killer.Killer"]
    forked.start("-m", *words, "seed=0,1", *launcher)
    ended = forked.end()
    assert ended.status == 0, ended.said
    assert Path("killed").exists()
    assert "the launcher gave up" in ended.said
    assert ended.said.endswith("sweep: 2 of 2 cells have a record")
    assert numbers(words).equals(numbers(words, *UNDISTURBED))
