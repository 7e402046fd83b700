"""What a sweep would do: which cells exist, which classifiers several jobs share, and in what order jobs go best."""

import itertools
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ood_bench.config import RunSettings
from ood_bench.results import RecordStore
from ood_bench.results.record_store import Listing
from ood_bench.runner.cell import Cell
from ood_bench.runner.prepare import cells_of
from ood_bench.training.spec import TrainingSpec
from ood_bench.utils.files import content_key

NOT_IN_KEYS = ("dry_run=", "time_limit=")
"""Overrides that say how a job runs and not what it computes."""


def job_key(words: Sequence[str]) -> str:
    """Key of a job: the hash of the overrides that say what it computes."""
    return content_key([word for word in words if not word.startswith(NOT_IN_KEYS)])


@dataclass(frozen=True)
class Job:
    """One job of a sweep: one composed configuration.

    Attributes:
        words: its overrides, as on the command line.
        cells: all of its cells.
        done: keys of those that have a record.
        classifiers: networks that its other cells need, those first that others start from.
        store: the artifact store.
        results: the results folder.
        flags: Hydra's flags that name where its configs lie, such as ``--config-dir``.
        shard: whether it makes a shard of banks and no record (``scoring.shard``).
    """

    words: tuple[str, ...]
    cells: tuple[Cell, ...]
    done: frozenset[str]
    classifiers: tuple[TrainingSpec, ...]
    store: Path
    results: Path
    flags: tuple[str, ...] = ()
    shard: bool = False

    @property
    def key(self) -> str:
        """Name of the job in the store."""
        return job_key(self.words)

    @property
    def missing(self) -> list[Cell]:
        """Cells without a record."""
        return [cell for cell in self.cells if cell.address not in self.done]

    def untrained(self) -> list[TrainingSpec]:
        """Classifiers that the job needs and that the store lacks."""
        return [spec for spec in self.classifiers if not exists(self.store, spec)]

    @property
    def config_folders(self) -> list[Path]:
        """The folders of configs that ``--config-dir`` names."""
        return [Path(folder) for flag, folder in itertools.pairwise(self.flags) if flag == "--config-dir"]

    @property
    def command(self) -> str:
        """The command that runs just this job; cells with a record are not computed again."""
        return f"ood-bench {shlex.join([*self.flags, *self.words])}"


def exists(store: Path, spec: TrainingSpec) -> bool:
    """Whether the store has the trained classifier; an imported one costs nothing."""
    return spec.checkpoint is not None or (store / "classifiers" / spec.title).exists()


class Recorded:
    """Which cells have a record: looks at each results folder once, however many jobs ask."""

    def __init__(self) -> None:
        self._listings: dict[Path, Listing] = {}

    def paths(self, results: Path, addresses: Iterable[str]) -> dict[str, Path]:
        """Files of the records with these addresses; raises :class:`RecordError` if two files carry one address."""
        if results not in self._listings:
            self._listings[results] = RecordStore(results).listing()
        return self._listings[results].find(addresses)

    def renewed(self, job: Job) -> Job:
        """The job with the records that exist."""
        return replace(job, done=frozenset(self.paths(job.results, (cell.address for cell in job.cells))))


def job_of(
    words: Sequence[str], settings: RunSettings, flags: Sequence[str] = (), recorded: Recorded | None = None
) -> Job:
    """Looks up what one configuration would compute; raises what refuses the run.

    Args:
        words: its overrides.
        settings: what they are composed to.
        flags: Hydra's flags that the job needs.
        recorded: knows the records; asked for all jobs of a sweep.
    """
    cells = cells_of(settings)
    done = frozenset((recorded or Recorded()).paths(settings.results.root, (cell.address for cell in cells)))
    needed = [spec for cell in cells if cell.address not in done for spec in cell.specs]
    specs = {spec.key: spec for one in needed for spec in _chain(one)}
    words = tuple(word for word in words if not word.startswith("dry_run="))
    store, results = settings.store.root, settings.results.root
    shard = settings.scoring.shard is not None
    return Job(words, tuple(cells), done, tuple(specs.values()), store, results, tuple(flags), shard)


def _chain(spec: TrainingSpec) -> list[TrainingSpec]:
    """A classifier after the one that it starts from."""
    return [*([] if spec.initial is None else _chain(spec.initial)), spec]


def in_order(jobs: Iterable[Job], parallel: int) -> list[Job]:
    """Jobs in the order in which they start; those with nothing to compute are left out.

    One after the other, they keep their order. Side by side, they start in waves, so that as few as possible wait for
    a classifier that another one is training: a wave takes every job that needs no classifier that the same wave
    already trains, those with most to train first; what is left makes the next wave.
    """
    if parallel == 1:
        return [job for job in jobs if job.missing]
    left = sorted((job for job in jobs if job.missing), key=lambda job: -len(job.untrained()))
    trained: set[tuple[Path, str]] = set()
    ordered: list[Job] = []
    while left:
        training: set[tuple[Path, str]] = set()
        later = []
        for job in left:
            new = {(job.store, spec.key) for spec in job.untrained()} - trained
            if new & training:
                later.append(job)
            else:
                training |= new
                ordered.append(job)
        trained |= training
        left = later
    return ordered


def shared(jobs: Sequence[Job]) -> dict[tuple[Path, str], tuple[TrainingSpec, int]]:
    """Every classifier that jobs with work left need, by store and key, with the number of those jobs."""
    found: dict[tuple[Path, str], tuple[TrainingSpec, int]] = {}
    for job in jobs:
        for spec in job.classifiers:
            place = job.store, spec.key
            found[place] = (spec, found.get(place, (spec, 0))[1] + 1)
    return found
