"""Everything in an artifact store, with its size and with what records refer to."""

import contextlib
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ood_bench.models.card import read_card, scoring_key
from ood_bench.results import Record

KINDS = ("classifiers", "images", "banks", "derived", "scores", "unfinished", "leftovers", "logs")
"""Trained networks; decoded sets; banks of passes; arrays after input steps; scores of cells; trainings and passes
that broke off, and shards of banks until they are joined; locks, torn entries and half-written files; plans,
heartbeats and SLURM's logs."""
_MARKS = (".lock", ".lease", ".torn")  # .lock: until version 0.1.0


@dataclass(frozen=True)
class Entry:
    """One artifact or leftover.

    Attributes:
        kind: one of :data:`KINDS`.
        path: its file or folder.
        size: bytes, with everything in it.
        age: seconds since anything in it was written.
    """

    kind: str
    path: Path
    size: int
    age: float


def entries(store: Path) -> list[Entry]:
    """Everything in a store, by kind and name."""
    now = time.time()
    found = [Entry(kind, path, *_measure(path, now)) for kind, path in sorted(_paths(store))]
    return sorted(found, key=lambda entry: (KINDS.index(entry.kind), entry.path))


def leftovers(results: Path) -> list[Entry]:
    """Half-written files below a results folder: those of a writer that was killed, or is at work."""
    now = time.time()
    paths = (path for kind in ("records", "details") for path in sorted((results / kind).rglob(".*.json.*")))
    return [Entry("leftovers", path, *_measure(path, now)) for path in paths]


def _paths(store: Path) -> Iterator[tuple[str, Path]]:
    for kind in ("classifiers", "images", "banks"):
        for path in _children(store / kind):
            if path.name == "derived" and kind == "banks":
                yield from ((kind_of("derived", one), one) for one in _children(path))
            else:
                yield kind_of(kind, path), path
                if kind == "banks" and path.is_dir():
                    yield from (("leftovers", one) for one in _children(path) if one.name.startswith("."))
    yield from ((kind_of("scores", path), path) for path in _children(store / "scores"))
    for folder in ("slurm", "sweeps"):
        yield from (("logs", path) for path in _children(store / folder))


def _children(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def kind_of(kind: str, path: Path) -> str:
    """``kind``, unless the name of what lies among its entries says that it is none of them."""
    if path.name.startswith(".") or path.suffix in _MARKS or ".lease." in path.name:
        return "leftovers"
    return "unfinished" if path.suffix in (".training", ".part", ".shards") else kind


def _measure(path: Path, now: float) -> tuple[int, float]:
    """Bytes of a file or folder, and seconds since the last change in it; what vanishes meanwhile has no size."""
    size, last = 0, 0.0
    for one in (path, *(path.rglob("*") if path.is_dir() else ())):
        try:
            status = one.lstat()
        except OSError:
            continue
        size += 0 if one.is_dir() else status.st_size
        last = max(last, status.st_mtime)
    return size, now - last


def described(entry: Entry) -> dict[str, Any]:
    """What an image set's own description says; empty where there is none or it cannot be read."""
    try:
        said = json.loads((entry.path / "meta.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


class _Keys(NamedTuple):
    """A classifier's key, that of the one that it started from, and the one that names its banks."""

    own: str
    initial: str | None
    scoring: str


def _keys(found: Iterable[Entry]) -> dict[Path, _Keys]:
    """Keys of classifiers by path; one whose card cannot be read or lacks something is left out."""
    keys = {}
    for entry in found:
        if entry.kind == "classifiers":
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                card = read_card(entry.path)
                initial = card["spec"].get("initial")
                keys[entry.path] = _Keys(str(card["key"]), initial and str(initial), scoring_key(card))
    return keys


def referred(found: Iterable[Entry], records: Iterable[Record]) -> set[Path]:
    """Paths of the artifacts that records refer to, directly or through a classifier that started from another one.

    A bank belongs to a record if both its classifier and its image set do. Arrays after input steps do not say whose
    they are: all of them count as referred to.
    """
    found, records = list(found), list(records)
    keys = _keys(found)
    wanted = {network.key for record in records for network in record.checkpoint.networks}
    fingerprints = {one.fingerprint for record in records for one in record.data.used if one.fingerprint}
    cells = {record.cell_key for record in records}
    while more := {one.initial for one in keys.values() if one.own in wanted and one.initial} - wanted:
        wanted |= more
    paths = {path for path, one in keys.items() if one.own in wanted}
    weights = {one.scoring for one in keys.values() if one.own in wanted}
    sets = {fingerprint[:16] for fingerprint in fingerprints}
    for entry in found:
        if entry.kind == "images" and described(entry).get("fingerprint") in fingerprints:
            paths.add(entry.path)
        if entry.kind == "scores" and entry.path.stem in cells:
            paths.add(entry.path)
        if entry.kind == "banks" and len(parts := entry.path.name.split("-")) > 1:
            paths |= {entry.path} if parts[0] in weights and parts[1] in sets else set()
    return paths | {entry.path for entry in found if entry.kind == "derived"}
