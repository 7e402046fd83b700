"""How long a sweep will take, from what earlier records and classifiers say that they took."""

import heapq
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ood_bench.results import Record, RecordStore
from ood_bench.runner.cell import Cell
from ood_bench.store.speeds import seconds_an_image, trained_cards
from ood_bench.sweep.plan import Job
from ood_bench.training.spec import TrainingSpec


class Estimator:
    """Answers in seconds, or none where nothing like it has been done yet.

    Args:
        records: records to learn from.
        cards: cards of trained classifiers to learn from.
    """

    def __init__(self, records: Iterable[Record], cards: Iterable[dict[str, Any]]) -> None:
        cells: dict[tuple[str, ...], list[float]] = {}
        training: dict[tuple[str, ...], list[float]] = {}
        for record in records:
            each = record.seconds / max(record.n_id + record.n_ood, 1)
            names: tuple[str, ...] = (record.method, record.model, record.id, record.protocol, record.ood)
            for length in (5, 4, 2):
                cells.setdefault(names[:length], []).append(each)
        for card in cards:
            if (trained := seconds_an_image(card)) is not None:
                kind = (card["spec"]["model"]["name"], card["recipe"])
                for length in (2, 1):
                    training.setdefault(kind[:length], []).append(trained)
        self._cells, self._training = _medians(cells), _medians(training)

    @classmethod
    def of(cls, jobs: Sequence[Job]) -> "Estimator":
        """Learns from the stores and results folders of the jobs."""
        folders = sorted({job.results for job in jobs})
        records = [record for folder in folders for record in RecordStore(folder).load()]
        return cls(records, [card for store in {job.store for job in jobs} for card in trained_cards(store)])

    def training(self, spec: TrainingSpec) -> float | None:
        """Seconds to train a classifier: those of an image and epoch, from the same recipe or else the same model."""
        names = (str(spec.model["name"]), spec.recipe.name)
        each = _first(self._training, (names, names[:1]))
        return None if each is None else each * spec.recipe.epochs * len(spec.data)

    def cell(self, cell: Cell) -> float | None:
        """Seconds to tune and score a cell: those of a row, from the most similar records."""
        names = (cell.method, cell.model, cell.test.name, cell.protocol.name, cell.ood.name)
        each = _first(self._cells, (names, names[:4], names[:2]))
        return None if each is None else each * (len(cell.test) + len(cell.ood))

    def unknown(self, jobs: Sequence[Job]) -> int:
        """Number of cells and classifiers that no estimate covers."""
        specs = {(job.store, spec.key): spec for job in jobs for spec in job.untrained()}
        guesses = [self.training(spec) for spec in specs.values()]
        guesses += [self.cell(cell) for job in jobs for cell in job.missing]
        return sum(guess is None for guess in guesses)

    def schedule(self, jobs: Sequence[Job], parallel: int) -> tuple[float, float]:
        """Seconds of work, and seconds until the end with ``parallel`` jobs at a time, in the given order.

        What several jobs need is made by the first; the others wait for it.
        """
        free, work = [0.0] * max(1, min(parallel, len(jobs) or 1)), 0.0
        ready: dict[tuple[Path, str], float] = {}
        for job in jobs:
            now = heapq.heappop(free)
            for spec in job.untrained():
                place = job.store, spec.key
                if place not in ready:
                    work += (seconds := self.training(spec) or 0.0)
                    ready[place] = now + seconds
                now = max(now, ready[place])
            mine = sum(self.cell(cell) or 0.0 for cell in job.missing)
            work += mine
            heapq.heappush(free, now + mine)
        return work, max(free)


def _medians(known: Mapping[tuple[str, ...], Sequence[float]]) -> dict[tuple[str, ...], float]:
    return {place: statistics.median(values) for place, values in known.items()}


def _first(known: Mapping[tuple[str, ...], float], places: Iterable[tuple[str, ...]]) -> float | None:
    return next((known[place] for place in places if place in known), None)


def duration(seconds: float) -> str:
    """Seconds in words: ``"45 s"``, ``"12 min"``, ``"3.5 h"``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
