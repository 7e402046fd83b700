"""Where a sweep stands, from its plan, the records that exist, and the heartbeats of its jobs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ood_bench.results import RecordStore
from ood_bench.sweep import heartbeat

ORDER = ("running", "failed", "lost", "interrupted", "waiting", "done")
"""States of jobs, those that one wants to see first at the front."""


@dataclass(frozen=True)
class JobState:
    """One job of a sweep as it stands.

    Attributes:
        words: its overrides.
        command: the command that runs just this job.
        state: one of :data:`ORDER`.
        cells: number of its cells.
        done: number of those with a record.
        note: what it is doing, or what went wrong.
    """

    words: tuple[str, ...]
    command: str
    state: str
    cells: int
    done: int
    note: str


def job_states(store: Path, plan: Mapping[str, Any]) -> list[JobState]:
    """The jobs of one plan of :mod:`ood_bench.sweep.manifest`, in its order."""
    records = _recorded(plan["jobs"])
    return [_state(store, job, sum(key in records for key in job["cells"])) for job in plan["jobs"]]


def _recorded(jobs: Iterable[Mapping[str, Any]]) -> set[str]:
    """Keys of all cells with a record, each results folder looked at once."""
    wanted: dict[str, list[str]] = {}
    for job in jobs:
        wanted.setdefault(job["results"], []).extend(job["cells"])
    return {key for results, keys in wanted.items() for key in RecordStore(Path(results)).find_paths(keys)}


def _state(store: Path, job: Mapping[str, Any], done: int) -> JobState:
    beat = heartbeat.read(store, job["key"])
    state, note = ("waiting", "") if beat is None else _describe(beat)
    if done == len(job["cells"]):
        state, note = "done", ""
    elif state == "done":  # of an earlier start, with records that are gone by now
        state = "waiting"
    return JobState(tuple(job["words"]), job["command"], state, len(job["cells"]), done, note)


def _describe(beat: Mapping[str, Any]) -> tuple[str, str]:
    """State and note from a heartbeat."""
    where = f"{beat['host']}" + (f", SLURM job {beat['slurm']}" if beat["slurm"] else f", process {beat['pid']}")
    if beat["state"] == "failed":
        return "failed", beat["error"]
    if beat["state"] != "running":
        return beat["state"], where
    if beat["silent"] > heartbeat.SILENCE:
        return "lost", f"no heartbeat for {beat['silent']:.0f} s ({where})"
    return "running", f"{_work(beat['work'])} ({where})"


def _work(work: Mapping[str, Any] | None) -> str:
    if work is None:
        return "preparing"
    rate = work["done"] / max(work["seconds"], 1e-9)
    left = f", {(work['total'] - work['done']) / rate:.0f} s left" if rate else ""
    note = f", {work['note']}" if work["note"] else ""
    return f"{work['what']}{note}: {100 * work['done'] / max(work['total'], 1):.0f} %{left}"
