"""The networks of cells: found or trained, and handed to the detectors."""

import logging
from collections.abc import Mapping, Sequence

from ood_bench.methods.base import Scorer
from ood_bench.models.classifier import Classifier
from ood_bench.runner.cell import Cell
from ood_bench.runner.failures import Failures
from ood_bench.runner.sets import RunSets
from ood_bench.scoring.engine import Engine
from ood_bench.training.artifact import ClassifierStore
from ood_bench.training.spec import TrainingSpec
from ood_bench.utils.locks import BusyError

_log = logging.getLogger(__name__)


def find_or_train(store: ClassifierStore, cells: Sequence[Cell], failures: Failures) -> dict[str, Classifier]:
    """Loads or trains every network of the cells; a network that cannot be had fails the cells that need it.

    A network that another process is training is left for the end: processes share the work that way.

    Returns:
        Classifiers by the key of their specification.
    """
    classifiers: dict[str, Classifier] = {}
    busy: list[TrainingSpec] = []
    needed = {spec.key: spec for cell in cells for spec in cell.specs}
    for spec in needed.values():
        with failures.catching(_needing(spec, cells)):
            try:
                classifiers[spec.key] = store.obtain(spec, wait=False)
            except BusyError:
                _log.info("another process trains %s: left for later", spec.title)
                busy.append(spec)
    for spec in busy:
        with failures.catching(_needing(spec, cells)):
            classifiers[spec.key] = store.obtain(spec)
    return classifiers


def _needing(spec: TrainingSpec, cells: Sequence[Cell]) -> list[Cell]:
    return [cell for cell in cells if any(one.key == spec.key for one in cell.specs)]


def scorers_of(
    cells: Sequence[Cell], classifiers: Mapping[str, Classifier], engine: Engine, sets: RunSets
) -> dict[str, Scorer]:
    """What each row of cells scores with, by the row.

    Args:
        cells: cells whose networks are all there.
        classifiers: networks by the key of their specification.
        engine: runs them.
        sets: the run's image sets.
    """
    return {
        cell.row: Scorer(engine, [classifiers[spec.key] for spec in cell.specs], sets.train, sets.test)
        for cell in cells
    }
