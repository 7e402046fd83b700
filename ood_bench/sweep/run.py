"""Runs a sweep: plans it, launches what is missing, and says what failed and how to run just that."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from rich.console import Console

from ood_bench.config import RunSettings
from ood_bench.errors import OodBenchError, reason
from ood_bench.sweep import manifest
from ood_bench.sweep.plan import Job, Recorded, in_order, job_of
from ood_bench.sweep.progress import counted
from ood_bench.sweep.show import show_end, show_plan, show_together
from ood_bench.utils.console import INTERRUPTED
from ood_bench.utils.time_limit import OUT_OF_TIME, OutOfTime

_log = logging.getLogger(__name__)
_PATIENCE = 2

Compose = Callable[[Sequence[str]], RunSettings]
Launch = Callable[[Sequence[Sequence[str]]], Sequence[Exception | None]]
"""Runs jobs by their overrides; gives what each raised, in their order."""
REFUSED_OR_MISSING = 2
"""Exit status of a sweep that was refused, or that ended with cells without a record."""


def run_sweep(
    sweep: Sequence[Sequence[str]], compose: Compose, launch: Launch, parallel: int, flags: Sequence[str] = ()
) -> int:
    """Runs every job of a sweep that has a cell without a record.

    Args:
        sweep: overrides of every job.
        compose: makes a job's settings.
        launch: runs jobs, and gives what each raised.
        parallel: number of jobs that run at a time, for the estimate.
        flags: Hydra's flags that every job needs.

    Returns:
        0 if every cell has a record now, or nothing was to be run; 75 if cells are missing only because time was up;
        130 after Ctrl-C; 2 if they are missing for another reason.

    Raises:
        OodBenchError: before anything is started, if one of the jobs would be refused.
    """
    console = Console()
    jobs, dry = _plan(sweep, compose, flags)
    ordered = in_order(jobs, parallel)
    show_plan(jobs, ordered, parallel, console, full=dry)
    if dry:
        return 0
    if ordered:
        for path in manifest.save(jobs, ordered):
            _log.info("progress: ood-bench status --store %s", path.parent.parent)
    errors, ended, interrupted = dict[str, Exception](), set[str](), False
    try:
        _launch(ordered, launch, errors, ended)
    except KeyboardInterrupt:
        interrupted = True
    # A shard has no records: it is made if its job ended well.
    recorded = Recorded()
    after = [replace(job, cells=()) if job.shard and job.key in ended else recorded.renewed(job) for job in jobs]
    missing = [job for job in after if job.missing]
    stopped = [job for job in missing if isinstance(errors.get(job.key), OutOfTime)]
    show_together(after, console)
    show_end(after, errors, console, interrupted=interrupted)
    if not missing:
        return 0
    if interrupted:
        return INTERRUPTED
    return OUT_OF_TIME if missing == stopped else REFUSED_OR_MISSING


def _plan(sweep: Sequence[Sequence[str]], compose: Compose, flags: Sequence[str]) -> tuple[list[Job], bool]:
    """All jobs, and whether they are only to be shown."""
    jobs, dry, recorded = {}, False, Recorded()
    for words in sweep:
        with naming(words):
            settings = compose(words)
            job = job_of(words, settings, flags, recorded)
        jobs[job.key] = job
        dry = dry or settings.dry_run
    return list(jobs.values()), dry


@contextlib.contextmanager
def naming(words: Sequence[str]) -> Iterator[None]:
    """Names the job in an error of the block."""
    try:
        yield
    except OodBenchError as error:
        message = f"{error.message}\n(job: {' '.join(words)}; nothing of the sweep was started)"
        raise type(error)(message, error.hint) from error


def _launch(jobs: Sequence[Job], launch: Launch, errors: dict[str, Exception], ended: set[str]) -> None:
    """Launches jobs; enters what they raised into ``errors``, by job key, and the keys of the others into ``ended``.

    A launcher may give up on all jobs because of one (joblib does when a worker is killed); the rest is launched again
    until two launches in a row have brought no new record.
    """
    fruitless = 0
    left = list(jobs)
    while left:
        try:
            raised = launch([job.words for job in left])
        except Exception as error:  # a launcher may raise anything
            why = f"the launcher gave up: {reason(error)}"
            rest = [job for job in map(Recorded().renewed, left) if job.missing]
            stuck = sum(len(job.missing) for job in rest) == sum(len(job.missing) for job in left)
            errors.update({job.key: OodBenchError(why) for job in rest})
            fruitless = fruitless + 1 if stuck else 0
            left = [] if fruitless == _PATIENCE else rest
            if left:
                _log.warning("%s; going on with %s", why, counted(len(left), "job"))
            continue
        errors.update({job.key: error for job, error in zip(left, raised, strict=True) if error is not None})
        ended.update(job.key for job, error in zip(left, raised, strict=True) if error is None)
        break
