"""A run as one story: data, classifiers, the shared passes, tuning and scores, metrics, records."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ood_bench.config import RunSettings
from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ArtifactError, ConfigError
from ood_bench.methods.base import Detector, Networks, Scorer, build_detector
from ood_bench.metrics import convention_named
from ood_bench.models.classifier import Classifier
from ood_bench.models.heads import model_title, without_default_head
from ood_bench.protocols.base import Protocol, build_protocol
from ood_bench.results import Record, RecordStore
from ood_bench.runner.cell import Cell
from ood_bench.runner.checks import check_protocol, check_taps, refuse_folders
from ood_bench.runner.extras import Keeper
from ood_bench.runner.failures import Failures
from ood_bench.runner.sets import RunSets, check_id, check_shapes, open_sets
from ood_bench.scoring.engine import Engine
from ood_bench.scoring.perturb import Steps
from ood_bench.scoring.quantities import Quantity
from ood_bench.training.artifact import ClassifierStore
from ood_bench.training.recipe import recipe_from
from ood_bench.training.spec import TrainingSpec
from ood_bench.utils.device import device_named
from ood_bench.utils.files import BusyError, clear_io_errors
from ood_bench.utils.time_limit import OutOfTime

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """What a run gives back.

    Attributes:
        records: the records of all cells, old and new, in the order of the configuration.
        paths: their files.
        new: how many of them this run computed.
    """

    records: list[Record]
    paths: list[str]
    new: int


def execute(settings: RunSettings) -> Finished:
    """Runs every cell of the configuration that has no record yet.

    Everything that can be refused is refused first: configuration, missing data, shapes, sizes. Then classifiers are
    found or trained, and each set goes once through each network for all methods together.

    Raises:
        OodBenchError: with one message that says what is wrong and what to do; records already written stay.
        CellsFailedError: if some cells could not be computed; the others are.
    """
    runner = _prepare(settings)
    plan = [(seed, runner.cells(seed)) for seed in settings.seed]
    with clear_io_errors("write records", settings.results.root):
        settings.results.root.mkdir(parents=True, exist_ok=True)
    _log.info("%d cells, %d of them to compute", *runner.count(cells for _, cells in plan))
    return runner.finish([runner.run(seed, cells) for seed, cells in plan])


def cells_of(settings: RunSettings) -> list[Cell]:
    """Every cell of a run, none of them computed; raises what :func:`execute` does before any training."""
    runner = _prepare(settings)
    return [cell for seed in settings.seed for cell in runner.cells(seed)]


def _prepare(settings: RunSettings) -> "_Runner":
    """Checks all that can be checked before any training, and opens the image sets."""
    protocol = build_protocol(settings.protocol, settings.tune.name)
    detectors = {name: build_detector(name, node) for name, node in settings.method.items()}
    for name, detector in detectors.items():
        protocol.check(name, detector)
    convention_named(protocol.convention)
    recipe_from(settings.train)
    if settings.checkpoint is not None and not settings.checkpoint.exists():
        raise ConfigError(f"checkpoint={settings.checkpoint}: there is no such file; checkpoint=null trains instead")
    device = device_named(settings.device)
    sets = open_sets(settings)
    check_id(settings, sets)
    check_taps(settings.model["name"], check_shapes(_plain_model(settings), settings.id["classes"], sets), detectors)
    check_protocol(protocol, sets)
    return _Runner(settings, protocol, sets, device)


def _plain_model(settings: RunSettings) -> dict[str, Any]:
    return without_default_head(settings.model)


class _Runner:
    """Holds the stores of one run and computes its cells, seed by seed."""

    def __init__(self, settings: RunSettings, protocol: Protocol, sets: RunSets, device: torch.device) -> None:
        self._settings, self._protocol, self._sets = settings, protocol, sets
        self._classifiers = ClassifierStore(settings.store.root / "classifiers", device)
        self._engine = Engine(settings.store.root / "banks", settings.scoring.batch_size)
        self._records = RecordStore(settings.results.root)
        self._failures = Failures()
        self._keeper = Keeper(settings.results.root, settings.store.root, settings.scoring.details)
        self._found: dict[str, Record] = {}

    def cells(self, seed: int) -> list[Cell]:
        """All cells of one seed; outliers that a method was trained on are not scored by it."""
        cells = []
        for method, node in self._settings.method.items():
            networks = self._networks(method, seed)
            for detector in build_detector(method, node).siblings(networks):
                cells += self._row(method, detector, detector.networks(networks), seed)
        if not cells:
            raise ConfigError("every method was trained on every OOD set of this run: choose another ood=")
        return cells

    def _row(self, method: str, detector: Detector, specs: Sequence[TrainingSpec], seed: int) -> list[Cell]:
        refuse_folders(method, specs)
        cells = []
        for name, ood in self._sets.ood.items():
            if any(spec.outliers is not None and spec.outliers.fingerprint == ood.fingerprint for spec in specs):
                _log.warning("%s was trained on %s: it is not scored on it", method, name)
                continue
            cell = Cell(
                method=method,
                model=model_title(self._settings.model),
                detector=detector,
                specs=specs,
                ood_name=name,
                ood=ood,
                test=self._sets.test,
                seed=seed,
                protocol=self._protocol,
                resamples=self._settings.scoring.resamples,
            )
            cell.refuse_overlap()
            cells.append(cell)
        return cells

    def _networks(self, method: str, seed: int) -> Networks:
        base = TrainingSpec(
            model=_plain_model(self._settings),
            recipe=recipe_from(self._settings.train),
            data=self._sets.train,
            test=self._sets.test,
            classes=self._settings.id["classes"],
            normalisation=self._settings.id["normalisation"],
            seed=seed,
            checkpoint=self._settings.checkpoint,
        )
        variants = self._settings.model.get("variants") or {}
        return Networks(base, variants, self._sets.outliers.get(method), self._sets.validation.get(method))

    def count(self, plan: Any) -> tuple[int, int]:
        """Number of cells, and of those without a record."""
        keys = [cell.key for cells in plan for cell in cells]
        return len(keys), len(keys) - len(self._records.find_paths(keys))

    def run(self, seed: int, cells: Sequence[Cell]) -> list[tuple[Record, bool]]:
        """Records of one seed's cells, each with whether it is new; without those that failed."""
        found = self._found = self._records.find_all(cell.key for cell in cells)
        missing = [cell for cell in cells if cell.key not in found or self._keeper.lacks(cell)]
        made: dict[str, Record] = {}
        if missing:
            scorers = self._scorers(missing)
            missing = self._failures.among(missing)
            ask = {name: cell.detector.fit_quantities for name, cell in _first(missing)}
            self._collect(scorers, self._sets.train, ask, {})
            for name in dict.fromkeys(cell.ood_name for cell in missing):
                made |= self._run_ood([cell for cell in missing if cell.ood_name == name], scorers)
        both = made | found
        return [(both[cell.key], cell.key not in found) for cell in cells if cell.key in both]

    def _scorers(self, cells: Sequence[Cell]) -> dict[str, Scorer]:
        """One scorer for each row whose classifiers could be found or trained."""
        loaded: dict[str, Classifier | Exception] = {}
        for spec in (spec for _, cell in _first(cells) for spec in cell.specs):
            self._make_free(spec, loaded)
        scorers = {}
        for row, _ in _first(cells):
            mine = [cell for cell in cells if cell.row == row]
            with self._failures.catching(mine):
                classifiers = [self._classifier(spec, loaded) for spec in mine[0].specs]
                scorers[row] = Scorer(self._engine, classifiers, self._sets.train, self._sets.test)
        return scorers

    def _make_free(self, spec: TrainingSpec, loaded: dict[str, Classifier | Exception]) -> None:
        """Loads or trains a classifier unless another process is at it: processes share the work that way.

        A failure is kept in ``loaded``, to be raised for the methods that need the classifier.
        """
        if spec.key not in loaded:
            try:
                loaded[spec.key] = self._classifiers.obtain(spec, wait=False)
            except OutOfTime:
                raise
            except BusyError:
                _log.info("another process trains %s: left for later", spec.title)
            except Exception as error:
                loaded[spec.key] = error

    def _classifier(self, spec: TrainingSpec, loaded: dict[str, Classifier | Exception]) -> Classifier:
        """The classifier from ``loaded``, else from the store; one that failed is not tried again in this run."""
        if spec.key not in loaded:
            try:
                loaded[spec.key] = self._classifiers.obtain(spec)
            except Exception as error:  # raised below, for every method that needs it
                loaded[spec.key] = error
        if isinstance(got := loaded[spec.key], Exception):
            raise got
        return got

    def _collect(
        self, scorers: Mapping[str, Scorer], images: ImageSet, ask: Mapping[str, Any], step: Mapping[str, Any]
    ) -> None:
        """One pass through each network for what all methods want of ``images``; if it fails, each passes alone."""
        wanted: dict[str, tuple[Classifier, list[Quantity], list[Steps]]] = {}
        try:
            for row, quantities in ask.items():
                for classifier in scorers[row].classifiers:
                    wanted.setdefault(classifier.key, (classifier, [], []))[1].extend(quantities(classifier))
            for row, steps in step.items():
                wanted[scorers[row].classifier.key][2].extend(steps(scorers[row]))
            for classifier, every_quantity, every_step in wanted.values():
                self._engine.collect(classifier, images, every_quantity, every_step)
        except (OutOfTime, ArtifactError):  # the store's fault is everybody's
            raise
        except Exception as error:  # one method's fault, or memory that is too small for all at once
            _log.warning("the shared pass over %s failed (%s): each method goes alone", images.title, error)

    def _run_ood(self, cells: Sequence[Cell], scorers: Mapping[str, Scorer]) -> dict[str, Record]:
        """Records of all methods on one OOD set, by cell key; without those that failed."""
        ood = cells[0].ood
        for cell in cells:
            with self._failures.catching([cell]):
                cell.detector.fit(scorers[cell.row], self._protocol.generator(ood))
        cells = self._failures.among(cells)
        ask = {cell.row: cell.detector.quantities for cell in cells}
        for number, images in enumerate((self._sets.test, ood)):
            step = {cell.row: cell.single_steps for cell in cells if cell.scored[number].rows is None}
            self._collect(scorers, images, ask, step)
        made = {}
        for cell in self._failures.among(cells):
            with self._failures.catching([cell]):
                made[cell.key] = self._run_cell(cell, scorers[cell.row])
        return made

    def _run_cell(self, cell: Cell, scorer: Scorer) -> Record:
        start = time.monotonic()
        outcome = self._protocol.run(cell.method, cell.detector, scorer, self._sets.test, cell.ood)
        record = cell.record(outcome, scorer.classifiers, time.monotonic() - start)
        earlier = self._found.get(cell.key)
        self._keeper.keep(cell, outcome, record, earlier)
        if earlier is None:
            self._records.write(record)
        _log.info("%s: AUROC %.2f", cell.title, record.exact["auroc"].value)
        return record

    def finish(self, parts: Sequence[list[tuple[Record, bool]]]) -> Finished:
        """The run's result from the records of all seeds; raises what :meth:`Failures.settle` does."""
        pairs = [pair for part in parts for pair in part]
        records = [record for record, _ in pairs]
        paths = [str(self._records.path(record)) for record in records]
        return self._failures.settle(Finished(records, paths, sum(new for _, new in pairs)))


def _first(cells: Sequence[Cell]) -> list[tuple[str, Cell]]:
    """The first cell of every row, with the row's name."""
    return list({cell.row: cell for cell in reversed(cells)}.items())[::-1]
