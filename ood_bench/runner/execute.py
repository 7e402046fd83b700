"""A run as one story: prepare, classifiers, one pass for all methods, scores, metrics, records."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence

from ood_bench.config import RunSettings
from ood_bench.data.imageset import ImageSet
from ood_bench.methods.base import Scorer
from ood_bench.results import Record, RecordStore
from ood_bench.runner.cell import Cell
from ood_bench.runner.correctness import correct_rows
from ood_bench.runner.extras import Extras
from ood_bench.runner.failures import Failures, Finished
from ood_bench.runner.networks import find_or_train, scorers_of
from ood_bench.runner.prepare import Prepared, prepare
from ood_bench.runner.record import record_of
from ood_bench.runner.shard import make_shard
from ood_bench.runner.shared_pass import Request, shared_pass
from ood_bench.scoring.backends import Backend
from ood_bench.scoring.engine import Engine
from ood_bench.scoring.quantities import LOGITS
from ood_bench.training.artifact import ClassifierStore
from ood_bench.utils.device import threads
from ood_bench.utils.files import clear_io_errors, make_folder
from ood_bench.utils.time_limit import reserve, time_limit

_log = logging.getLogger(__name__)


def execute(settings: RunSettings) -> Finished:
    """Runs every cell of the configuration that has no record yet; with ``scoring.shard``, makes that shard only.

    Everything that can be refused is refused first: configuration, missing data, shapes, sizes. Then classifiers are
    found or trained, and each set goes once through each network for all methods together.

    Raises:
        OodBenchError: with one message that says what is wrong and what to do; records already written stay.
        OutOfTime: if the time limit does not allow another epoch or OOD set.
        CellsFailedError: if some cells could not be computed; the others are.
    """
    with time_limit(settings.time_limit), threads(settings.threads):
        reserve(0, "this run")
        run = prepare(settings)
        if settings.scoring.shard is not None:
            make_shard(run)
            return Finished([], [], 0)
        seeds = [run.cells(seed) for seed in settings.seed]
        with clear_io_errors("write records", settings.results.root):
            make_folder(settings.results.root)
        runner = _Runner(run)
        runner.announce([cell for cells in seeds for cell in cells])
        return runner.finish([runner.run(cells) for cells in seeds])


class _Runner:
    """Holds the stores of one run and computes its cells, seed by seed."""

    def __init__(self, run: Prepared) -> None:
        store, results, scoring = run.settings.store.root, run.settings.results.root, run.settings.scoring
        self._protocol, self._sets = run.protocol, run.sets
        self._classifiers = ClassifierStore(store / "classifiers", run.device)
        self._engine = Engine(store / "banks", scoring.batch_size, scoring.shards, Backend(scoring.pass_backend))
        self._records = RecordStore(results)
        self._extras = Extras(results, store, scoring.details)
        self._failures = Failures()

    def announce(self, cells: Sequence[Cell]) -> None:
        """Says how many cells will be computed, and for each other one which record exists."""
        paths = self._records.find_paths(cell.address for cell in cells)
        _log.info("%d cells, %d of them to compute", len(cells), len(cells) - len(paths))
        for cell in cells:
            if cell.address in paths and not self._extras.lacks(cell):
                _log.info("%s: skipped, its record exists: %s", cell.title, paths[cell.address])

    def run(self, cells: Sequence[Cell]) -> Finished:
        """The records of one seed's cells: those that exist, and those that are computed now."""
        existing = self._records.find_all(cell.address for cell in cells)
        to_do = [cell for cell in cells if cell.address not in existing or self._extras.lacks(cell)]
        by_key = self._compute(to_do, existing) | existing
        records = [by_key[cell.address] for cell in cells if cell.address in by_key]
        return Finished(records, [str(self._records.path(one)) for one in records], len(by_key) - len(existing))

    def _compute(self, cells: Sequence[Cell], existing: Mapping[str, Record]) -> dict[str, Record]:
        """Computes cells of one seed; gives their records by address, without those that failed."""
        classifiers = find_or_train(self._classifiers, cells, self._failures)
        cells = self._failures.among(cells)
        scorers = scorers_of(cells, classifiers, self._engine, self._sets)
        self._pass_for_fitting(cells, scorers)
        computed: dict[str, Record] = {}
        for name in dict.fromkeys(cell.ood_name for cell in cells):
            reserve(0, f"scoring {name}")
            computed |= self._compute_set([cell for cell in cells if cell.ood_name == name], scorers, existing)
        return computed

    def _pass_for_fitting(self, cells: Sequence[Cell], scorers: Mapping[str, Scorer]) -> None:
        """One pass over the training images for what all methods learn from them."""
        detectors = {cell.row: cell.detector for cell in cells}
        requests = (
            (classifier, detector.fit_quantities(classifier), ())
            for row, detector in detectors.items()
            for classifier in scorers[row].classifiers
        )
        shared_pass(self._engine, self._sets.train, requests)

    def _compute_set(
        self, cells: Sequence[Cell], scorers: Mapping[str, Scorer], existing: Mapping[str, Record]
    ) -> dict[str, Record]:
        """Fits and scores all methods on one OOD set; gives records by address, without those that failed."""
        ood = cells[0].ood
        for cell in cells:
            with self._failures.catching([cell]):
                cell.detector.fit(scorers[cell.row], self._protocol.generator(ood))
        cells = self._failures.among(cells)
        self._pass_for_scoring(ood, cells, scorers)
        computed = {}
        for cell in cells:
            with self._failures.catching([cell]):
                computed[cell.address] = self._compute_cell(cell, scorers[cell.row], existing.get(cell.address))
        return computed

    def _pass_for_scoring(self, ood: ImageSet, cells: Sequence[Cell], scorers: Mapping[str, Scorer]) -> None:
        """One pass over the ID test images and one over the OOD images for what all methods score.

        The ID images leave their logits behind whatever the methods are: predictions are made of them.
        """

        def requests(side: int) -> Iterator[Request]:
            for cell in cells:
                scorer = scorers[cell.row]
                yield from ((classifier, cell.detector.quantities(classifier), ()) for classifier in scorer.classifiers)
                if side == 0:
                    yield from ((classifier, (LOGITS,), ()) for classifier in scorer.classifiers)
                if cell.scored[side].rows is None:  # all rows are scored, so that the steps are those of the set
                    yield scorer.classifier, (), cell.single_steps(scorer)

        for side, images in enumerate((self._sets.test, ood)):
            shared_pass(self._engine, images, requests(side))

    def _compute_cell(self, cell: Cell, scorer: Scorer, earlier: Record | None) -> Record:
        """Tunes, scores and measures; an earlier record stays as it is, and only its extras are written."""
        start = time.monotonic()
        outcome = self._protocol.run(cell.method, cell.detector, scorer, self._sets.test, cell.ood)
        seconds = time.monotonic() - start
        correct, backend = correct_rows(cell, outcome, scorer), self._engine.backend(scorer.classifiers)
        record = record_of(cell, outcome, scorer.classifiers, seconds, correct, backend=backend)
        self._extras.write(cell, outcome, record, earlier)
        if earlier is None:
            self._records.write(record)
        _log.info("%s: AUROC %.2f", cell.title, record.exact["auroc"].value)
        return record

    def finish(self, seeds: Sequence[Finished]) -> Finished:
        """The run's result from those of its seeds; raises what :meth:`Failures.settle` does."""
        return self._failures.settle(
            Finished(
                records=[record for seed in seeds for record in seed.records],
                paths=[path for seed in seeds for path in seed.paths],
                new=sum(seed.new for seed in seeds),
            )
        )
