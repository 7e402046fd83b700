"""One shard of a run: a range of every image set goes through every network, and a later run joins and scores."""

import logging
from collections.abc import Sequence

from ood_bench.data.imageset import ImageSet
from ood_bench.methods.base import Detector, Scorer
from ood_bench.models.classifier import Classifier
from ood_bench.results import RecordStore
from ood_bench.runner.cell import Cell
from ood_bench.runner.failures import Failures, Finished
from ood_bench.runner.networks import find_or_train, scorers_of
from ood_bench.runner.prepare import Prepared
from ood_bench.scoring.backends import Backend
from ood_bench.scoring.quantities import Quantity
from ood_bench.scoring.shard_engine import NotWholeError, ShardEngine, UndividedError
from ood_bench.training.artifact import ClassifierStore
from ood_bench.utils.time_limit import reserve

_log = logging.getLogger(__name__)


def make_shard(run: Prepared) -> None:
    """Computes ``scoring.shard`` of all banks that the run's cells without a record need, and says what it made.

    Raises:
        OodBenchError: if a network cannot be had, a pass fails, or the store cannot be written.
        OutOfTime: if the time limit is reached; whole sets of the shard are kept.
    """
    shard = _Shard(run)
    found = RecordStore(run.settings.results.root)
    for seed in run.settings.seed:
        cells = run.cells(seed)
        known = found.find_paths(cell.address for cell in cells)
        shard.make([cell for cell in cells if cell.address not in known])
    shard.report()


class _Shard:
    """Makes one shard, seed by seed, and counts what it makes."""

    def __init__(self, run: Prepared) -> None:
        self._run, store = run, run.settings.store.root
        scoring = run.settings.scoring
        assert scoring.shard is not None  # noqa: S101 - a run without one does not come here
        self._classifiers = ClassifierStore(store / "classifiers", run.device)
        self._engine = ShardEngine(
            store / "banks", scoring.batch_size, scoring.shards, scoring.shard, Backend(scoring.pass_backend)
        )
        self._failures = Failures()
        self._computed, self._wanted = 0, 0
        self._undivided: dict[str, None] = {}

    def make(self, cells: Sequence[Cell]) -> None:
        """The shard of all banks that cells of one seed need."""
        classifiers = find_or_train(self._classifiers, cells, self._failures)
        cells = self._failures.among(cells)
        wanted: dict[tuple[str, str], tuple[Classifier, ImageSet, dict[Quantity, None]]] = {}
        scorers = scorers_of(cells, classifiers, self._engine, self._run.sets)
        for cell in cells:
            with self._failures.catching([cell]):
                for classifier, images, quantities in self._reads(cell, scorers[cell.row]):
                    place = classifier.key, images.fingerprint
                    _, _, all_quantities = wanted.setdefault(place, (classifier, images, {}))
                    all_quantities.update(dict.fromkeys(quantities))
        for classifier, images, all_quantities in wanted.values():
            reserve(0, f"scoring {images.title}")
            self._wanted += len(all_quantities)
            self._computed += self._engine.fill(classifier, images, list(all_quantities))

    def _reads(self, cell: Cell, scorer: Scorer) -> list[tuple[Classifier, ImageSet, Sequence[Quantity]]]:
        """What a cell reads of each image set.

        A detector says what it scores after it is fitted. One that learns from banks that are not whole yet scores, as
        far as can be known, what it learns from.
        """
        detector, fitted = cell.detector, True
        try:
            detector.fit(scorer, self._run.protocol.generator(cell.ood))
        except NotWholeError:
            fitted = False
        except UndividedError:
            fitted = False
            self._undivided[cell.row] = None
        found: list[tuple[Classifier, ImageSet, Sequence[Quantity]]] = []
        for classifier in scorer.classifiers:
            learned = detector.fit_quantities(classifier)
            scored = detector.quantities(classifier) if fitted else learned
            found.append((classifier, scorer.train, learned))
            sets = (self._run.sets.test, cell.ood, *(self._run.sets.own_validation or ()))
            found += [(classifier, images, scored) for images in sets]
            if not scored or type(detector).steps is not Detector.steps:
                self._undivided[cell.row] = None
        return [(classifier, images, quantities) for classifier, images, quantities in found if quantities]

    def report(self) -> None:
        """Says what was made, what is left to the run that joins, and how to start it; raises the first failure."""
        scoring = self._run.settings.scoring
        _log.info(
            "shard %d of %d (from 0): its rows of %d banks computed, of %d found",
            scoring.shard,
            scoring.shards,
            self._computed,
            self._wanted - self._computed,
        )
        if self._undivided:
            _log.info(
                "not in shards, the run that joins them computes it alone: input steps, gradients, random passes and "
                "other passes of their own of %s",
                ", ".join(self._undivided),
            )
        self._failures.settle(Finished([], [], 0))
        _log.info("when all shards are made: the same command without scoring.shard joins them and scores")
