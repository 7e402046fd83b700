"""The plan of a sweep as a file in the store, so that its progress can be seen from any machine that sees the store."""

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field, ValidationError

from ood_bench.utils.faults import faults
from ood_bench.utils.files import canonical_json, content_key, write_atomically
from ood_bench.utils.printable import printable

if TYPE_CHECKING:  # reading plans needs no torch
    from ood_bench.sweep.plan import Job

_log = logging.getLogger(__name__)


class PlannedJob(BaseModel):
    """A job as its plan's file has it.

    Attributes:
        key: its name in the store.
        words: its overrides.
        command: the command that runs just this job.
        place: its place in the order of those that are started; none if it had all records.
        results: its results folder.
        cells: titles of its cells, by the address of the record; none of a job that makes a shard, no record.
        classifiers: titles of those that it has to train.
    """

    key: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    words: list[str]
    command: str
    place: int | None
    results: Annotated[str, Field(pattern=r"^[^\x00]+$")]
    cells: dict[str, str]
    classifiers: list[str]


class Plan(BaseModel):
    """A sweep: when it was started, in seconds since 1970, and its jobs."""

    started: Annotated[float, Field(ge=0, lt=1e11)]
    jobs: Annotated[list[PlannedJob], Field(min_length=1)]


def folder(store: Path) -> Path:
    """Where a store keeps the plans of its sweeps and the heartbeats of its jobs."""
    return store / "sweeps"


def save(jobs: Sequence["Job"], ordered: Sequence["Job"]) -> list[Path]:
    """Writes a sweep's plan to ``<store>/sweeps/<key>.json``, in place of that of an earlier start of the same sweep.

    Args:
        jobs: all jobs of the sweep.
        ordered: those that are started now.

    Returns:
        A plan for each store that jobs use, with those jobs.
    """
    stores = dict.fromkeys(job.store for job in jobs)
    return [_save(store, [job for job in jobs if job.store == store], ordered) for store in stores]


def _save(store: Path, jobs: Sequence["Job"], ordered: Sequence["Job"]) -> Path:
    started = {job.key: number for number, job in enumerate(ordered)}
    planned = [
        PlannedJob(
            key=job.key,
            words=list(map(printable, job.words)),
            command=printable(job.command),
            place=started.get(job.key),
            results=printable(str(job.results.resolve())),
            cells={} if job.shard and job.missing else {cell.address: cell.title for cell in job.cells},
            classifiers=[spec.title for spec in job.untrained()],
        )
        for job in jobs
    ]
    plan = Plan(started=time.time(), jobs=planned)
    path = folder(store) / f"{content_key(sorted(job.key for job in jobs))}.json"
    write_atomically(path, canonical_json(plan.model_dump()).encode(), durable=False)
    return path


def load_all(store: Path) -> Iterator[tuple[Path, Plan]]:
    """Every plan in a store, the latest first; a file that cannot be read is logged and left out."""
    found = []
    for path in folder(store).glob("*.json"):
        try:
            found.append((path, Plan.model_validate_json(path.read_bytes())))
        except (OSError, ValidationError) as error:
            why = faults(error, most=2) if isinstance(error, ValidationError) else error
            _log.warning("left out, damaged: %s: %s: delete it", printable(str(path)), printable(str(why)))
    yield from sorted(found, key=lambda one: one[1].started, reverse=True)
