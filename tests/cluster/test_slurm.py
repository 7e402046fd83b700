"""A sweep on a real SLURM: one job cancelled, one killed, one requeued; the numbers are those of an undisturbed run.

Not collected by default: it submits jobs. ``make test-cluster`` starts a SLURM of one node on this machine and runs it.
"""

import functools
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import run_docs

from ood_bench.report import tables
from ood_bench.results import RecordStore, frame
from ood_bench.sweep import heartbeat

pytestmark = pytest.mark.cluster
PATIENCE = 600.0
EPOCHS = 600  # ten seconds: a cancelled job has three to finish in, and must not
TOY = [
    "experiment=quickstart",
    "ood=[uniform,gaussian]",
    "ood.uniform.source.count=40",
    "ood.gaussian.source.count=40",
    "id.train.test_fraction=0.9",
    "id.test.test_fraction=0.05",
    f"train.epochs={EPOCHS}",
    "train.batch_size=64",
    "scoring.resamples=0",
    "device=cpu",
]
SLURM = [
    "hydra/launcher=submitit_slurm",
    "hydra.launcher.cpus_per_task=1",
    "hydra.launcher.array_parallelism=2",
    "hydra.launcher.timeout_min=30",
]
CIRCUMSTANCES = ["seconds", "created", "git_dirty", "git_revision"]


def command(*words):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "ood_bench", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(*words):
    process = command(*words)
    said, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, said


def wait_for(happened, what):
    end = time.monotonic() + PATIENCE
    while not (found := happened()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.05)
    return found


def slurm(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


class Sweep:
    """Six jobs of two cells each: two methods with three seeds."""

    def __init__(self, folder):
        self.store = folder / "store"
        self.results = folder / "results"
        self.places = [f"store.root={self.store}", f"results.root={self.results}"]

    def words(self, method="msp,mahalanobis", seed="0,1,2"):
        return [*TOY, *self.places, f"method={method}", f"seed={seed}"]

    def training(self, seed):
        """Heartbeat of the job that trains this seed's classifier and has finished an epoch."""
        found = list((self.store / "classifiers").glob(f"*-seed{seed}-*.training/last.ckpt"))
        if not found:
            return None
        for path in heartbeat.path_of(self.store, "x").parent.glob("*.json"):
            said = json.loads(path.read_text())
            if f"seed={seed}" in said["words"] and "method=msp" in said["words"] and said["state"] == "running":
                return said
        return None

    def attempts(self, seed):
        """What a seed's classifier was continued from, by the logs of the jobs."""
        logs = (self.store / "slurm").glob("*/*.err")
        text = " ".join(" ".join(path.read_text().split()) for path in logs)
        return re.findall(rf"continuing \S*-seed{seed}-\S* from epoch (\d+)", text.replace("- ", "-"))


@pytest.fixture(scope="module", autouse=True)
def here():
    try:
        slurm("sinfo", "--noheader")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.fail(f"no SLURM answers ({error}): run `scripts/one_node_slurm.sh start` (as root, Debian or Ubuntu)")


def outcome(results):
    records = RecordStore(results).load()
    return frame(records).drop(columns=CIRCUMSTANCES)


def test_cancelled_killed_and_requeued_jobs_change_no_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    disturbed, undisturbed = Sweep(tmp_path / "disturbed"), Sweep(tmp_path / "undisturbed")
    sweep = command("-m", *disturbed.words(), *SLURM)

    slurm("scancel", wait_for(lambda: disturbed.training(0), "seed 0")["slurm"])
    os.kill(wait_for(lambda: disturbed.training(1), "seed 1")["pid"], signal.SIGKILL)
    slurm("scontrol", "requeue", wait_for(lambda: disturbed.training(2), "seed 2")["slurm"])

    status, said = run(*undisturbed.words("[msp,mahalanobis]", "[0,1,2]"))
    assert status == 0, said
    ended, _ = sweep.communicate(timeout=PATIENCE)
    assert sweep.returncode == 2, ended
    assert "plan: 6 jobs with 12 cells; 0 done, 12 to compute" in ended
    assert "sweep: 8 of 12 cells have a record" in ended
    assert ended.count("failed: ") == 2
    assert ended.count("ended without a result (killed, cancelled or out of memory)") == 2
    assert disturbed.attempts(2)[0] != "0"

    again = [line.strip() for line in ended.splitlines() if line.startswith("    ood-bench ")]
    assert len(again) == 2
    processes = [command(*shlex.split(line)[1:]) for line in again]
    for process in processes:
        said, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said
        assert "2 records (2 new)" in " ".join(said.split())

    status, said = run("-m", *disturbed.words(), *SLURM)
    assert status == 0, said
    assert "12 done, 0 to compute" in said
    assert "submitted" not in said

    found, expected = outcome(disturbed.results), outcome(undisturbed.results)
    assert len(expected) == 12
    assert found.equals(expected)
    pages = [
        {name: text for name, text in tables.render(one.results).files.items() if name.startswith("tables/")}
        for one in (disturbed, undisturbed)  # the page also shows when a record was made
    ]
    assert pages[0] == pages[1] != {}
    done = subprocess.run(
        [sys.executable, "-m", "ood_bench", "status", "--store", str(disturbed.store)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "12 of 12 cells; 6 jobs: 6 done" in done.stdout
    assert not list(Path(disturbed.store).rglob("*.lease"))


def test_the_blocks_of_the_page_about_clusters(tmp_path):
    """docs/cluster.md, with embedded images in place of the paper's, one node without a GPU in place of the cluster."""
    toy = f"{shlex.join(TOY)} method=msp train.epochs=1 scoring.batch_size=20"  # 20: enough batches for four shards
    here = {
        "paper=fssd_fashionmnist": toy,
        "paper=openood_imagenet1k device=cuda data.root=DATA": toy.replace("'", ""),
        "hydra.launcher.partition=gpu": "hydra.launcher.partition=main",
        "hydra.launcher.gpus_per_node=1": "hydra.launcher.cpus_per_task=1",
    }
    page = (Path(run_docs.ROOT) / "docs/cluster.md").read_text(encoding="utf-8")
    wanted = [one.code for one in run_docs.blocks(page) if "submitit_slurm" in one.code]
    assert len(wanted) == 2
    for code in wanted:
        mine = functools.reduce(lambda text, words: text.replace(*words), here.items(), code)
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
        }
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", mine],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{mine}\n{done.stdout}\n{done.stderr}"
    records = RecordStore(tmp_path / "outputs/quickstart/results").load()
    assert sorted({record.seed for record in records}) == [0, 1, 2]
