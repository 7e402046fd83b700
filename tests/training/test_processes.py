"""Real processes that are killed, that race, and that wait for each other."""

import multiprocessing
import runpy
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ood_bench.models.card import WEIGHTS
from ood_bench.training.artifact import ClassifierStore
from ood_bench.utils.files import sha256_file

WORKER = str(Path(__file__).with_name("worker.py"))
EPOCHS = 30
PATIENCE = 120.0


def wait_for(happened: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.002)


@pytest.fixture(scope="module")
def context():
    """Processes that have torch imported already; forked from a clean server, never from this process."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["ood_bench.training.artifact", "torch._dynamo", "pytest"])
    return made


@pytest.fixture(scope="module")
def spec(make_spec, images):
    """Everything random: dropout, order, augmentation; momentum and schedule have a memory."""
    return make_spec({"data": images(48)}, epochs=EPOCHS, schedule={"name": "cosine"}, batch_size=16)


class Worker:
    """A process that obtains ``spec`` from the store at ``root``."""

    def __init__(self, context, spec, root, log):
        self.log = log
        job = {"spec": spec, "root": root, "log": log}
        self.process = context.Process(target=runpy.run_path, args=(WORKER, {"JOB": job}, "__main__"))
        self.process.start()

    @property
    def lines(self):
        """What the store said; on a busy machine lines of progress come between."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if line.startswith(("continuing", "trained"))]

    def finish(self):
        self.process.join(PATIENCE)
        assert self.process.exitcode == 0, self.lines


@pytest.fixture
def start(context, spec, tmp_path):
    workers = []

    def started(root="store"):
        workers.append(Worker(context, spec, tmp_path / root, tmp_path / f"{len(workers)}.log"))
        return workers[-1]

    yield started
    for worker in workers:
        if worker.process.is_alive():
            worker.process.kill()
        worker.process.join(PATIENCE)


@pytest.fixture(scope="module")
def undisturbed(spec, tmp_path_factory):
    """The same training, alone and at one go."""
    return ClassifierStore(tmp_path_factory.mktemp("undisturbed"), torch.device("cpu")).obtain(spec)


def state_of(path):
    status = path.stat() if path.exists() else None
    return None if status is None else (status.st_mtime_ns, status.st_ino)


def wait_for_epochs(path, count):
    """Waits until the checkpoint at ``path`` was replaced ``count`` times."""
    for _ in range(count):
        before = state_of(path)
        wait_for(lambda: state_of(path) not in (before, None), f"an epoch at {path}")  # noqa: B023 - called at once


def test_killed_again_and_again_it_ends_with_the_same_bits(start, spec, undisturbed, tmp_path):
    final = tmp_path / "store" / spec.title
    checkpoint = final.with_name(f"{final.name}.training") / "last.ckpt"
    moments = np.random.default_rng()
    epochs = [0]
    for _ in range(3):
        worker = start()
        wait_for_epochs(checkpoint, int(moments.integers(1, 5)))
        time.sleep(moments.uniform(0, 0.03))  # anywhere in an epoch, or in the writing of the next checkpoint
        worker.process.kill()
        worker.process.join(PATIENCE)
        assert worker.process.exitcode == -signal.SIGKILL
        assert not final.exists()
        epochs.append(torch.load(checkpoint, weights_only=True)["epoch"])
    assert 0 < epochs[1] < epochs[2] < epochs[3] < EPOCHS
    last = start()
    last.finish()
    assert last.lines[0] == f"continuing {spec.title} from epoch {epochs[3]} of {EPOCHS}"
    found = ClassifierStore(tmp_path / "store", torch.device("cpu")).obtain(spec)
    assert found.card["weights_sha256"] == undisturbed.card["weights_sha256"]
    assert sha256_file(final / WEIGHTS) == undisturbed.card["weights_sha256"]
    assert found.card["history"] == undisturbed.card["history"]
    assert len(found.card["history"]) == EPOCHS


def test_two_at_once_train_once(start, spec, undisturbed, tmp_path):
    workers = [start(), start()]
    for worker in workers:
        worker.finish()
    lines = sorted(line for worker in workers for line in worker.lines)
    assert len(lines) == 1
    assert lines[0].startswith(f"trained {spec.title} in ")
    found = ClassifierStore(tmp_path / "store", torch.device("cpu")).obtain(spec)
    assert found.card["weights_sha256"] == undisturbed.card["weights_sha256"]
    assert [path.name for path in (tmp_path / "store").iterdir()] == [spec.title]
