"""Whether artifacts and records are what they say that they are."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ood_bench.data.imageset import fingerprint
from ood_bench.errors import ArtifactError, OodBenchError, RecordError
from ood_bench.models.card import WEIGHTS, read_card
from ood_bench.results import RecordStore
from ood_bench.results.details import DetailStore
from ood_bench.results.record import is_sealed
from ood_bench.results.record_store import Problem
from ood_bench.results.scores import ScoreStore
from ood_bench.store.inventory import Entry, described
from ood_bench.utils.digests import check_digest
from ood_bench.utils.files import clear_io_errors, sha256_file


def faults(entry: Entry, *, deep: bool) -> str:
    """What is wrong with an artifact, in words; empty if nothing is. ``deep`` reads every pixel of image sets, too."""
    checks = {"classifiers": _classifier, "banks": _arrays, "derived": _arrays, "scores": _scores}
    try:
        if entry.kind == "images":
            return _images(entry, deep=deep)
        if entry.path.suffix == ".shards":
            return _arrays(entry)
        return checks[entry.kind](entry) if entry.kind in checks else ""
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        return f"cannot be read: {error}"


def _classifier(entry: Entry) -> str:
    card = read_card(entry.path)
    if sha256_file(entry.path / WEIGHTS) != card["weights_sha256"]:
        return "the weights are not those that the card speaks of"
    ours = entry.path.name.endswith((card["key"], card["key"][:8]))
    return "" if ours else f"holds the classifier {card['key']}"


def _images(entry: Entry, *, deep: bool) -> str:
    meta = described(entry)
    sizes = {name: (entry.path / name).stat().st_size for name in meta["sizes"]}
    if sizes != meta["sizes"]:
        return f"its files hold {sizes} bytes, not {meta['sizes']}"
    if not deep:
        return ""
    images = np.load(entry.path / "images.npy", mmap_mode="r", allow_pickle=False)
    labels = np.load(entry.path / "labels.npy", allow_pickle=False) if "labels.npy" in sizes else None
    return "" if fingerprint(images, labels) == meta["fingerprint"] else "the pixels or labels have changed"


def _arrays(entry: Entry) -> str:
    """Of a bank, of shards, or of one array after input steps."""
    if not entry.path.is_dir():
        return _array(entry.path, entry.path.stem)
    files = sorted(entry.path.glob("[!.]*.npy"))
    return "; ".join(said for path in files if (said := _array(path, f"{entry.path.name}/{path.stem}")))


def _scores(entry: Entry) -> str:
    try:
        ScoreStore(entry.path.parent).read(entry.path.stem)
    except ArtifactError as error:
        return str(error)
    return ""


def _array(path: Path, identity: str) -> str:
    """What is wrong with an array's file."""
    try:
        check_digest(path, identity)
        np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        return f"{path.name} is damaged ({error})"
    return ""


def record_problems(results: Path) -> tuple[int, int, list[Problem], list[str]]:
    """Number of valid records in a results folder, of those without a seal, damaged records, and damaged details."""
    store, details = RecordStore(results), DetailStore(results)
    valid, bare, torn = 0, 0, []
    for record, content in store.each():
        valid += 1
        bare += not is_sealed(content)
        try:
            details.read(record.cell_key)
        except RecordError as error:
            torn.append(str(error))
    return valid, bare, store.problems, torn


def set_aside(results: Path, problems: Iterable[Problem], broken: Iterable[Entry]) -> Iterator[str]:
    """Moves damaged files out of the way; nothing is deleted.

    Args:
        results: the results folder.
        problems: its damaged records; they go to ``<results>/set-aside``.
        broken: damaged artifacts; they get the suffix ``.torn`` and are made again when they are needed.

    Yields:
        What was done, a line each.
    """
    store = RecordStore(results)
    for problem in problems:
        try:
            yield f"{problem.path} -> {store.set_aside(problem.path)}"
        except OodBenchError as error:
            yield f"{problem.path} stays: {error}"
    for entry in broken:
        torn = entry.path.with_name(f"{entry.path.name}.torn")
        if torn.exists():
            yield f"{entry.path} stays: {torn} exists"
            continue
        with clear_io_errors("set an artifact aside", entry.path):
            entry.path.rename(torn)
        yield f"{entry.path} -> {torn}"
