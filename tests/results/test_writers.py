"""Many processes write records at once while some of them are killed."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pytest

from ood_bench.results import Record, RecordStore

WRITERS = 16
OWN, SHARED = 15, 10  # records of each writer; records that all of them write
KILLS = 20


def _work(root: Path, records: list[Record], log: int, enough: Event) -> None:
    """Writes the records, and again and again until it is enough, so that every kill meets a writer at work."""
    store, last = RecordStore(root), False
    while not last:
        last = enough.is_set()
        for record in records:
            store.write(record)
            os.write(log, f"{record.cell_key}\n".encode())  # short appends are whole


class Crew:
    """Sixteen writers; one that is killed is replaced and starts again from its first record."""

    def __init__(self, root: Path, tasks: list[list[Record]], log: int) -> None:
        self._context = multiprocessing.get_context("fork")
        self._root, self._tasks, self._log, self.enough = root, tasks, log, self._context.Event()
        self.workers = [self._start(number) for number in range(len(tasks))]

    def _start(self, number: int):
        worker = self._context.Process(target=_work, args=(self._root, self._tasks[number], self._log, self.enough))
        worker.start()
        return worker

    def kill(self, number: int) -> None:
        """Kills a writer in the middle of its work and puts another in its place."""
        worker = self.workers[number]
        worker.kill()
        worker.join(60)
        assert worker.exitcode == -signal.SIGKILL
        self.workers[number] = self._start(number)


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
    for _ in range(KILLS):
        crew.kill(int(chance.integers(WRITERS)))
        time.sleep(chance.uniform(0, 0.01))
    written = set((tmp_path / "log").read_text().split())
    assert {record.cell_key for record in RecordStore(tmp_path / "results").load()} >= written

    crew.enough.set()
    for worker in crew.workers:
        worker.join(120)
    assert [worker.exitcode for worker in crew.workers] == [0] * WRITERS
    store = RecordStore(tmp_path / "results")
    records = store.load()
    assert store.problems == []
    assert len(records) == len({record.cell_key for record in records}) == WRITERS * OWN + SHARED
    half_written = [path for path in store.root.rglob(".*") if path.is_file()]
    assert len(half_written) <= KILLS
