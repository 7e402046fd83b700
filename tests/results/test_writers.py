"""Many processes write records at once while some of them are killed."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ood_bench.results import Record, RecordStore

WRITERS = 16
OWN, SHARED = 40, 20  # records of each writer; records that all of them write
KILLS = 40


def _work(root: Path, records: list[Record], log: int) -> None:
    store = RecordStore(root)
    for record in records:
        store.write(record)
        os.write(log, f"{record.cell_key}\n".encode())  # short appends are whole


class Crew:
    """Sixteen writers; one that is killed is replaced and starts again from its first record."""

    def __init__(self, root: Path, tasks: list[list[Record]], log: int) -> None:
        self._context = multiprocessing.get_context("fork")
        self._root, self._tasks, self._log = root, tasks, log
        self.workers = [self._start(number) for number in range(len(tasks))]

    def _start(self, number: int):
        worker = self._context.Process(target=_work, args=(self._root, self._tasks[number], self._log))
        worker.start()
        return worker

    def kill(self, number: int) -> bool:
        """Kills a writer in the middle of its work and puts another in its place; says whether it was working."""
        worker = self.workers[number]
        worker.kill()
        worker.join(60)
        if worker.exitcode != -signal.SIGKILL:
            return False
        self.workers[number] = self._start(number)
        return True


@pytest.fixture
def crew(tmp_path: Path, make: Callable[..., Record]):
    shared = [make(seed=seed, cell_key=f"{seed:016x}") for seed in range(SHARED)]
    tasks = []
    for writer in range(WRITERS):
        own = [make(seed=seed, cell_key=f"{(writer + 1) * 1000 + seed:016x}") for seed in range(OWN)]
        order = np.random.default_rng(writer).permutation(OWN + SHARED)
        tasks.append([(own + shared)[place] for place in order])
    log = os.open(tmp_path / "log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    made = Crew(tmp_path / "results", tasks, log)
    yield made
    for worker in made.workers:
        worker.kill()
        worker.join(60)
    os.close(log)


def test_sixteen_writers_lose_nothing_when_some_are_killed(crew, tmp_path):
    chance = np.random.default_rng(0)
    killed = 0
    while killed < KILLS and any(worker.is_alive() for worker in crew.workers):
        killed += crew.kill(int(chance.integers(WRITERS)))
        time.sleep(chance.uniform(0, 0.01))
    assert killed == KILLS
    written = set((tmp_path / "log").read_text().split())
    assert {record.cell_key for record in RecordStore(tmp_path / "results").load()} >= written

    for worker in crew.workers:
        worker.join(120)
    assert [worker.exitcode for worker in crew.workers] == [0] * WRITERS
    store = RecordStore(tmp_path / "results")
    records = store.load()
    assert store.problems == []
    assert len(records) == len({record.cell_key for record in records}) == WRITERS * OWN + SHARED
    half_written = [path for path in store.root.rglob(".*") if path.is_file()]
    assert len(half_written) <= KILLS
