"""Where a sweep stands, from its plan, the records that exist, and the heartbeats of its jobs."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ood_bench.results import RecordStore
from ood_bench.sweep import heartbeat
from ood_bench.sweep.heartbeat import Beat, Work
from ood_bench.sweep.manifest import Plan, PlannedJob

ORDER = ("running", "failed", "lost", "interrupted", "waiting", "done")
"""States of jobs, those that one wants to see first at the front."""


@dataclass(frozen=True)
class JobState:
    """One job of a sweep as it stands.

    Attributes:
        words: its overrides.
        command: the command that runs just this job.
        state: one of :data:`ORDER`.
        cells: number of its cells; a shard counts as one.
        done: number of those with a record.
        note: what it is doing, or what went wrong.
    """

    words: tuple[str, ...]
    command: str
    state: str
    cells: int
    done: int
    note: str


def counted(number: int, what: str) -> str:
    """A number of things in words: ``"1 job"``, ``"2 jobs"``."""
    return f"{number} {what}{'s' * (number != 1)}"


def job_states(store: Path, plan: Plan, dead: dict[str, str]) -> list[JobState]:
    """The jobs of one plan, in its order.

    Args:
        store: the artifact store.
        plan: the plan.
        dead: versions of the heartbeats that have been watched in vain, by job key; this call adds its own.
    """
    records = _recorded(plan.jobs)
    beats = {job.key: heartbeat.read(store, job.key) for job in plan.jobs}
    lost = _lost(store, beats, dead)
    return [
        _state(job, beats[job.key], sum((job.results, key) in records for key in job.cells), lost=job.key in lost)
        for job in plan.jobs
    ]


def _recorded(jobs: Iterable[PlannedJob]) -> set[tuple[str, str]]:
    """Results folder and address of every record, and the same with its bare key, which the plans of 0.1 hold."""
    folders = {job.results for job in jobs}
    found = {(folder, one) for folder in folders for one in RecordStore(Path(folder)).listing().addresses}
    return found | {(folder, one.rpartition("/")[2]) for folder, one in found}


def _lost(store: Path, beats: Mapping[str, Beat | None], dead: dict[str, str]) -> set[str]:
    """Keys of the jobs whose heart has stopped.

    A heartbeat that seems old, or to come from the future, is watched: if it changes, the job lives, and the clocks of
    the file server and of this machine do not agree.
    """
    running = {key: beat for key, beat in beats.items() if beat is not None and beat.state == "running"}
    doubtful = {key: beat.version for key, beat in running.items() if not 0 <= beat.silent <= heartbeat.SILENCE}
    watched = {key: version for key, version in doubtful.items() if dead.get(key) != version}
    end = time.monotonic() + heartbeat.LOOK
    while watched and time.monotonic() < end:
        time.sleep(heartbeat.LOOK / 20)
        for key in [key for key, version in watched.items() if heartbeat.has_changed(store, key, version)]:
            del watched[key], doubtful[key]
    dead.update(watched)
    return set(doubtful)


def _state(job: PlannedJob, beat: Beat | None, done: int, *, lost: bool) -> JobState:
    state, note = ("waiting", "") if beat is None else _describe(beat, lost=lost)
    if not job.cells:  # a shard, of which no record tells
        return JobState(tuple(job.words), job.command, state, 1, int(state == "done"), note)
    if done == len(job.cells):
        state, note = "done", ""
    elif state == "done":  # of an earlier start, with records that are gone by now
        state = "waiting"
    return JobState(tuple(job.words), job.command, state, len(job.cells), done, note)


def _describe(beat: Beat, *, lost: bool) -> tuple[str, str]:
    """State and note from a heartbeat."""
    where = f"{beat.host}" + (f", SLURM job {beat.slurm}" if beat.slurm else f", process {beat.pid}")
    if beat.state == "failed":
        return "failed", beat.error
    if beat.state != "running":
        return beat.state, where
    if lost:
        return "lost", f"no heartbeat for {max(beat.silent, heartbeat.LOOK):.0f} s ({where})"
    return "running", f"{_work(beat.work)} ({where})"


def _work(work: Work | None) -> str:
    if work is None:
        return "preparing"
    rate = work.done / max(work.seconds, 1e-9)
    left = f", {(work.total - work.done) / rate:.0f} s left" if rate else ""
    note = f", {work.note}" if work.note else ""
    return f"{work.what}{note}: {100 * work.done / max(work.total, 1):.0f} %{left}"
