"""The work whose cost is measured as it grows: runs, looking after records, a sweep's plan, methods of many classes."""

import contextlib
import functools
import io
import itertools
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from unittest import mock

import numpy as np
from hydra.core.global_hydra import GlobalHydra

from benchmarks import records
from benchmarks.posthoc import posthoc_methods
from benchmarks.wide import TOO_LARGE, WIDTH, ready, synthetic
from ood_bench.cli.main import main as command_line
from ood_bench.config import RunSettings, compose_settings
from ood_bench.data.imageset import ImageSet
from ood_bench.errors import OodBenchError
from ood_bench.methods.posthoc import FeaturesDetector
from ood_bench.runner import prepare
from ood_bench.runner.execute import execute
from ood_bench.runner.sets import RunSets

Work = Callable[[], object]
RESULTS = Path(__file__).parents[1] / "results"
METHODS = ("msp", "energy", "mahalanobis", "knn", "react")
_SHAPE, _CLASSES, _TRAIN = (1, 8, 8), 8, 640
_ROWS, _SCORED = 2000, 500
_WANT_MORE = ("openmax",)  # five images of each class that are classified rightly


class Runs:
    """Runs of LeNet on images of 8 x 8 pixels in memory, which cost little beside what is looked at.

    Args:
        folder: scratch folder; the classifier is trained in it at once.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, itertools.count()
        self._train = _noise("train", _TRAIN, 0)
        self._run(self._settings(), 40)()

    def images(self, count: int, *, warm: bool = False, resamples: int = 0) -> Work:
        """A run that scores ``count`` images by five methods, half of them ID."""
        return self._run(self._settings(resamples), count // 2, warm=warm)

    def methods(self, count: int, *, warm: bool = False) -> Work:
        """A run that scores 2,000 images by ``count`` methods: energy at as many temperatures."""
        settings = self._settings()
        many = {f"energy_{n}": {**settings.method["energy"], "temperature": 1 + n / 10} for n in range(count)}
        return self._run(settings.model_copy(update={"method": many}), 1000, warm=warm)

    def sets(self, count: int) -> Work:
        """A run that scores 1,000 ID images and ``count`` OOD sets of as many by five methods."""
        return self._run(self._settings(), 1000, sets=count)

    def _run(self, settings: RunSettings, each: int, *, warm: bool = False, sets: int = 1) -> Work:
        """A run in a results folder of its own on sets of ``each`` images; ``warm`` finds all passes in the store."""
        oods = {f"ood_{n}": _noise(f"ood_{n}", each, 2 + n) for n in range(sets)}
        opened = RunSets(self._train, _noise("test", each, 1), oods, {})

        def work() -> object:
            results = self._folder / f"results-{next(self._numbers)}"
            mine = settings.model_copy(update={"results": settings.results.model_copy(update={"root": results})})
            if not warm:
                shutil.rmtree(self._folder / "store" / "banks", ignore_errors=True)
            with mock.patch.object(prepare, "open_sets", return_value=opened):
                return execute(mine)

        if warm:
            work()
        return work

    def _settings(self, resamples: int = 0) -> RunSettings:
        words = ["experiment=quickstart", f"method=[{','.join(METHODS)}]", "ood=uniform", "train.epochs=1"]
        words += [f"store.root={self._folder}/store", f"scoring.resamples={resamples}", "threads=1", "device=cpu"]
        return compose_settings(words)


def _noise(name: str, count: int, seed: int) -> ImageSet:
    draws = np.random.default_rng(seed)
    return ImageSet.of(name, draws.integers(0, 256, (count, *_SHAPE), dtype=np.uint8), np.arange(count) % _CLASSES)


class Kept:
    """Results folders that are looked after: copies of committed records as of further networks.

    Args:
        folder: scratch folder.
        source: the results folder whose records are copied.
    """

    def __init__(self, folder: Path, source: Path = RESULTS) -> None:
        self._folder, self._source = folder, source

    def work(self, count: int, *, kind: str) -> Work:
        """Loading, checking or reporting ``count`` records."""
        results = self._folder / str(count)
        if not results.exists():
            records.copies(self._source, results, count, networks=True)
        return functools.partial(records.WORK[kind], results)


class Sweeps:
    """Plans of sweeps over seeds and methods, beside as many records of other cells.

    Args:
        folder: scratch folder.
        source: the results folder whose records are copied.
    """

    def __init__(self, folder: Path, source: Path = RESULTS) -> None:
        self._folder, self._source = folder, source

    def jobs(self, count: int) -> Work:
        """The plan of ``count`` jobs, as ``dry_run=true`` shows it."""
        results = self._folder / f"results-{count}"
        records.copies(self._source, results, count, networks=True)
        seeds = ",".join(map(str, range(count // 2)))
        words = ["-m", "experiment=quickstart", "method=msp,energy", "ood=uniform", f"seed={seeds}", "dry_run=true"]
        words += [f"store.root={self._folder}/store", f"results.root={results}"]

        def work() -> None:
            GlobalHydra.instance().clear()  # it takes each process for one command
            with contextlib.redirect_stdout(io.StringIO()) as said:
                status = command_line(words)
            if status or f"plan: {count} jobs" not in said.getvalue():
                raise OodBenchError(f"the sweep was not planned: {said.getvalue()}")

        return work


class Wide:
    """Post-hoc methods of logits or pooled features that learn from 2,000 rows and score 500, with many classes.

    Args:
        folder: not needed.
        width: number of features.
        names: methods; all but those that are too large or want more images of a class if none.
    """

    def __init__(self, folder: Path, width: int = WIDTH, names: Collection[str] = ()) -> None:
        self._width = width
        self._names = names or [name for name in posthoc_methods() if name not in (*TOO_LARGE, *_WANT_MORE)]

    def classes(self, count: int) -> dict[str, Work]:
        """Learning and scoring with ``count`` classes, by method."""
        features, labels, weight = synthetic(_ROWS, count, self._width)

        def work(name: str) -> None:
            detector = ready(name, weight)
            given = features if isinstance(detector, FeaturesDetector) else features @ weight.T
            if detector.learns:
                detector.learn(given, labels)
            detector.score(given[:_SCORED] + 0.01)

        return {name: functools.partial(work, name) for name in self._names}
