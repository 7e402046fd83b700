"""A sweep's plan and its end, in words."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from rich.console import Console

from ood_bench.errors import reason
from ood_bench.report.terminal import report_command, show
from ood_bench.results import RecordStore
from ood_bench.sweep.estimate import Estimator, duration
from ood_bench.sweep.plan import Job, Recorded, exists, shared
from ood_bench.sweep.progress import counted
from ood_bench.training.spec import TrainingSpec
from ood_bench.utils.printable import printable
from ood_bench.utils.time_limit import OutOfTime

_MOST = 40
_MOST_RECORDS = 100


def show_plan(jobs: Sequence[Job], ordered: Sequence[Job], parallel: int, console: Console, *, full: bool) -> None:
    """Says what exists, what is shared, the order, and what it will cost.

    Args:
        jobs: all jobs of the sweep.
        ordered: those with work left, in the order in which they start.
        parallel: number of jobs that run at a time.
        console: where to write.
        full: whether to list jobs, classifiers and the records that exist, too.
    """
    cells, done = sum(len(job.cells) for job in jobs), sum(len(job.done) for job in jobs)
    estimator = Estimator.of(jobs)
    lines = [f"plan: {counted(len(jobs), 'job')} with {counted(cells, 'cell')}; {done} done, {cells - done} to compute"]
    lines += _classifier_lines(ordered, estimator, full=full)
    if full:
        recorded = Recorded()
        lines += _few(done, (line for job in jobs for line in _record_lines(job, recorded)))
        lines += ["jobs in the order in which they start:"] if ordered else []
        lines += _few(len(ordered), (_job_line(number, job, estimator) for number, job in enumerate(ordered)))
    if ordered:
        work, wall = estimator.schedule(ordered, parallel)
        unknown = estimator.unknown(ordered)
        gaps = f"; nothing is known yet of {unknown} cells and classifiers, which come on top" if unknown else ""
        lines.append(
            f"estimate: {duration(work)} of work, {duration(wall)} with {counted(parallel, 'job')} at a time{gaps}"
        )
    console.print(printable("\n".join(lines)), markup=False, highlight=False, soft_wrap=True)


def _classifier_lines(ordered: Sequence[Job], estimator: Estimator, *, full: bool) -> list[str]:
    needed = shared(ordered)
    absent = [(spec, jobs) for (store, _), (spec, jobs) in needed.items() if not exists(store, spec)]
    several = sum(jobs > 1 for _, jobs in absent)
    lines = [
        f"classifiers: {len(needed) - len(absent)} found, {len(absent)} to train, {several} of them for several jobs"
    ]
    if full:
        lines += _few(len(absent), (_classifier_line(*one, estimator) for one in absent))
    return lines if needed else []


def _classifier_line(spec: TrainingSpec, jobs: int, estimator: Estimator) -> str:
    seconds = estimator.training(spec)
    return f"  {spec.title}: for {counted(jobs, 'job')}" + ("" if seconds is None else f", about {duration(seconds)}")


def _record_lines(job: Job, recorded: Recorded) -> list[str]:
    """A line for each cell that needs no computing: the record that says so."""
    paths = recorded.paths(job.results, job.done)
    return [f"  skipped: {cell.title}: {paths[cell.address]}" for cell in job.cells if cell.address in paths]


def _job_line(number: int, job: Job, estimator: Estimator) -> str:
    train = len(job.untrained())
    training = f", needs {train} untrained" if train else ""
    guesses = [guess for cell in job.missing if (guess := estimator.cell(cell)) is not None]
    cost = f", scoring about {duration(sum(guesses))}" if guesses else ""
    return f"  {number:3} {' '.join(job.words)}: {len(job.missing)} of {len(job.cells)} cells{training}{cost}"


def _few(count: int, lines: Iterable[str]) -> list[str]:
    """The first of ``count`` lines; the others are not made."""
    return [*islice(lines, _MOST), *([f"  and {count - _MOST} more"] if count > _MOST else [])]


def show_end(
    jobs: Sequence[Job], errors: Mapping[str, Exception], console: Console, *, interrupted: bool = False
) -> None:
    """Says how the sweep ended; names every job with a cell missing, why, and the command that runs just that.

    Args:
        jobs: all jobs, as they stand after the sweep.
        errors: what jobs raised, by their keys.
        console: where to write.
        interrupted: whether Ctrl-C stopped it.
    """
    parts = [job for job in jobs if job.shard]
    scored = [job for job in jobs if not job.shard]
    cells, done = sum(len(job.cells) for job in scored), sum(len(job.done) for job in scored)
    title = "interrupted" if interrupted else "sweep"
    lines = [f"{title}: {done} of {cells} cells have a record"] if scored else []
    if parts:
        made = sum(not job.missing for job in parts)
        lines.append(f"{title}: {made} of {counted(len(parts), 'shard')} made; without scoring.shard a run joins them")
    missing = [job for job in jobs if job.missing]
    if interrupted:
        stopped = [job for job in missing if job.key not in errors]
        lines += _few(len(stopped), (f"missing: {_cells(job)}\n    {job.command}" for job in stopped))
        missing = [job for job in missing if job.key in errors]
    failed = [job for job in missing if not isinstance(errors.get(job.key), OutOfTime)]
    if len(failed) < len(missing):
        lines.append(f"out of time: {counted(len(missing) - len(failed), 'job')} not finished")
    for job in failed:
        error = errors.get(job.key)
        why = reason(error) if error else "its job ended without a message (killed, cancelled or out of memory)"
        lines += [f"failed: {_cells(job)}: {why}", f"    {job.command}"]
    if done < cells or any(job.missing for job in parts):
        lines.append("the same sweep again computes all that is missing, and nothing else")
    console.print(printable("\n".join(lines)), markup=False, highlight=False, soft_wrap=True)


def show_together(jobs: Sequence[Job], console: Console) -> None:
    """One table of the records of all jobs, with mean and deviation over seeds; nothing for a single job.

    Of a large sweep it says where tables come from instead.
    """
    own = jobs[0].config_folders if jobs else []
    folders = list(dict.fromkeys(job.results for job in jobs if not job.shard))
    done = {cell.address for job in jobs for cell in job.cells}
    records = [record for folder in folders for record in RecordStore(folder).find_all(done).values()]
    if len(jobs) < 2 or not records:
        return
    if len(records) <= _MOST_RECORDS:
        show(records, console, own, every_seed=False)
    for folder in folders:
        console.print(f"tables: {report_command(folder, own)}", markup=False, highlight=False, soft_wrap=True)


def _cells(job: Job) -> str:
    """The first cells of a job without a record."""
    return ", ".join(cell.title for cell in job.missing[:3]) + (", …" if len(job.missing) > 3 else "")
