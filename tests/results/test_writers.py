"""Many processes write records at once while some of them are killed."""

import multiprocessing
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ood_bench.results import Record, RecordStore

WRITERS, KILLS = 4, 8
OWN, SHARED = 8, 6  # records of each writer; records that all of them write


@pytest.fixture
def start(tmp_path: Path, make: Callable[..., Record]):
    """Starts a writer, which writes its records again and again until it is enough: a kill meets it at work."""
    context = multiprocessing.get_context("fork")
    enough, started = context.Event(), []

    def work(number: int) -> None:
        store, last = RecordStore(tmp_path / "results"), False
        keys = [*range(SHARED), *(1000 * (number + 1) + own for own in range(OWN))]
        records = [
            make(seed=key, cell_key=f"{key:016x}") for key in np.random.default_rng(number).permutation(keys).tolist()
        ]
        while not last:
            last = enough.is_set()
            for record in records:
                store.write(record)
                with (tmp_path / "log").open("a") as log:
                    log.write(f"{record.cell_key}\n")  # short appends are whole

    def begin(number: int):
        started.append(context.Process(target=work, args=(number,)))
        started[-1].start()
        return started[-1]

    begin.enough = enough
    yield begin
    for worker in started:
        worker.kill()
        worker.join(60)


def test_writers_lose_nothing_when_some_are_killed(start, tmp_path):
    chance = np.random.default_rng(0)
    workers = [start(number) for number in range(WRITERS)]
    for _ in range(KILLS):
        time.sleep(chance.uniform(0, 0.1))
        number = int(chance.integers(WRITERS))
        workers[number].kill()
        workers[number].join(60)
        assert workers[number].exitcode == -signal.SIGKILL
        workers[number] = start(number)
    written = set((tmp_path / "log").read_text().split())
    assert {record.cell_key for record in RecordStore(tmp_path / "results").load()} >= written

    start.enough.set()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * WRITERS
    store = RecordStore(tmp_path / "results")
    records = store.load()
    assert store.problems == []
    assert len(records) == len({record.cell_key for record in records}) == WRITERS * OWN + SHARED
    half_written = [path for path in store.root.rglob(".*") if path.is_file()]
    assert len(half_written) <= KILLS
