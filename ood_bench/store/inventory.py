"""Everything in an artifact store, with its size and with what records refer to."""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ood_bench.models.classifier import scoring_key
from ood_bench.results import Record

KINDS = ("classifiers", "images", "banks", "derived", "scores", "unfinished", "leftovers", "logs")
"""Trained networks; decoded sets; banks of passes; arrays after input steps; scores of cells; trainings and passes that
broke off; locks, torn entries and half-written files; plans, heartbeats and SLURM's logs."""
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
                yield from ((_kind("derived", one), one) for one in _children(path))
            else:
                yield _kind(kind, path), path
                if kind == "banks" and path.is_dir():
                    yield from (("leftovers", one) for one in _children(path) if one.name.startswith("."))
    yield from ((_kind("scores", path), path) for path in _children(store / "scores"))
    for folder in ("slurm", "sweeps"):
        yield from (("logs", path) for path in _children(store / folder))


def _children(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _kind(kind: str, path: Path) -> str:
    if path.name.startswith(".") or path.suffix in _MARKS or ".lease." in path.name:
        return "leftovers"
    return "unfinished" if path.suffix in (".training", ".part") else kind


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
    """What an artifact's own description says; empty where there is none or it cannot be read."""
    names = {"classifiers": "classifier.json", "images": "meta.json"}
    try:
        said = json.loads((entry.path / names[entry.kind]).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError):
        return {}
    return said if isinstance(said, dict) else {}


def referred(found: Iterable[Entry], records: Iterable[Record]) -> set[Path]:
    """Paths of the artifacts that records refer to, directly or through a classifier that started from another one.

    A bank belongs to a record if both its classifier and its image set do. Arrays after input steps do not say whose
    they are: all of them count as referred to.
    """
    found, records = list(found), list(records)
    cards = {entry.path: card for entry in found if entry.kind == "classifiers" and (card := described(entry))}
    wanted = {network.key for record in records for network in record.checkpoint.networks}
    fingerprints = {one.fingerprint for record in records for one in record.data.used}
    cells = {record.cell_key for record in records}
    while (
        more := {card["spec"].get("initial") for card in cards.values() if card.get("key") in wanted} - wanted - {None}
    ):
        wanted |= more
    paths = {path for path, card in cards.items() if card.get("key") in wanted}
    weights = {scoring_key(card) for path, card in cards.items() if path in paths}
    sets = {fingerprint[:16] for fingerprint in fingerprints}
    for entry in found:
        if entry.kind == "images" and described(entry).get("fingerprint") in fingerprints:
            paths.add(entry.path)
        if entry.kind == "scores" and entry.path.stem in cells:
            paths.add(entry.path)
        if entry.kind == "banks" and len(parts := entry.path.name.split("-")) > 1:
            paths |= {entry.path} if parts[0] in weights and parts[1] in sets else set()
    return paths | {entry.path for entry in found if entry.kind == "derived"}
