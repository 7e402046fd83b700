"""The plan of a sweep as a file in the store, so that its progress can be seen from any machine that sees the store."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_bench.utils.files import canonical_json, content_key, write_atomically

if TYPE_CHECKING:  # reading plans needs no torch
    from ood_bench.sweep.plan import Job

_log = logging.getLogger(__name__)


def folder(store: Path) -> Path:
    """Where a store keeps the plans of its sweeps and the heartbeats of its jobs."""
    return store / "sweeps"


def save(jobs: Sequence["Job"], ordered: Sequence["Job"]) -> Path:
    """Writes a sweep's plan to ``<store>/sweeps/<key>.json``, in place of that of an earlier start of the same sweep.

    Args:
        jobs: all jobs of the sweep.
        ordered: those that are started now.
    """
    started = {job.key: number for number, job in enumerate(ordered)}
    plan = {
        "started": time.time(),
        "jobs": [
            {
                "key": job.key,
                "words": list(job.words),
                "command": job.command,
                "place": started.get(job.key),
                "results": str(job.results.resolve()),
                "cells": {cell.address: cell.title for cell in job.cells},
                "classifiers": [spec.title for spec in job.untrained()],
            }
            for job in jobs
        ],
    }
    path = folder(jobs[0].store) / f"{content_key(sorted(job.key for job in jobs))}.json"
    write_atomically(path, canonical_json(plan).encode(), durable=False)
    return path


def load_all(store: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every plan in a store, the latest first; a file that cannot be read is logged and left out."""
    found = []
    for path in folder(store).glob("*.json"):
        try:
            plan = json.loads(path.read_text(encoding="utf-8"))
            found.append((plan["started"], path, plan))
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("left out: %s: %s", path, error)
    yield from ((path, plan) for _, path, plan in sorted(found, key=lambda one: one[0], reverse=True))
