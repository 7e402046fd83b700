"""Clearing a store: what no record refers to goes; what one refers to goes only when asked for by its kind."""

import contextlib
import secrets
import shlex
import shutil
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ood_bench.errors import RecordError
from ood_bench.results import Record, RecordStore
from ood_bench.store.inventory import Entry, referred
from ood_bench.utils.files import clear_io_errors
from ood_bench.utils.locks import is_locked

ASKABLE = ("classifiers", "images", "banks", "derived", "scores")
"""Kinds of artifacts that go, on demand, although records refer to them; they can all be made again."""
_ALIVE = 3600.0
"""Seconds after the last heartbeat of a job for which a sweep counts as running, whatever the clocks say."""


@dataclass(frozen=True)
class Sorted:
    """Entries of a store, by what would become of them.

    Attributes:
        goes: what would be deleted.
        referred: what stays because records refer to it.
        young: what stays because it is too young, or in use.
    """

    goes: list[Entry]
    referred: list[Entry]
    young: list[Entry]


def records_of(folders: Iterable[Path], *, without_records: bool) -> list[Record]:
    """All records of some results folders, which decide what may go.

    Raises:
        RecordError: if a folder has none, unless that is meant, or one that cannot be read and may refer to anything.
    """
    records: list[Record] = []
    for folder in folders:
        store = RecordStore(folder)
        found = store.load()
        if store.problems:
            raise RecordError(
                f"{len(store.problems)} files in {store.folder} are no valid records and may refer to anything: "
                f"run `ood-bench store check --results {shlex.quote(str(folder))} --set-aside` first"
            )
        if not found and not without_records:
            raise RecordError(
                f"{store.folder} has no records, so that everything would go: name the results folders that use this "
                "store with --results, or say --without-records"
            )
        records += found
    return records


def sort(
    found: Sequence[Entry], records: Iterable[Record], *, also: Collection[str] = (), older: float = 86400.0
) -> Sorted:
    """Decides what may go.

    Args:
        found: everything in the store, and half-written files below results folders.
        records: all records that count.
        also: kinds of :data:`ASKABLE` that go although records refer to them.
        older: seconds for which nothing of an entry must have been written.
    """
    needed = referred(found, records)
    running = any(entry.path.parts[-2:] == ("sweeps", "jobs") and entry.age < _ALIVE for entry in found)
    sorted_ = Sorted([], [], [])
    for entry in found:
        if entry.path in needed and entry.kind not in also:
            sorted_.referred.append(entry)
        elif entry.age < older or _in_use(entry.path) or (running and _awaits_a_sweep(entry)):
            sorted_.young.append(entry)
        else:
            sorted_.goes.append(entry)
    return sorted_


def _awaits_a_sweep(entry: Entry) -> bool:
    """Whether a sweep that runs may come to need an entry: a classifier, a plan, a log, or shards of other jobs."""
    return entry.kind in ("classifiers", "logs") or entry.path.suffix == ".shards"


def _in_use(path: Path) -> bool:
    """Whether somebody holds the lock on an entry or in it, or the lock that it is, or waits for its job in SLURM."""
    if path.suffix == ".part":  # locked by the names of the arrays that will come of it, which it does not say
        return _holds_locks(path.parent)
    named = path.with_suffix("") if path.suffix in (".training", ".lease", ".npy", ".shards") else path
    return is_locked(named) or _holds_locks(path) or _awaited(path)


def _holds_locks(folder: Path) -> bool:
    return any(is_locked(lease.with_suffix("")) for lease in folder.glob("*.lease"))


def _awaited(folder: Path) -> bool:
    """Whether submitit submitted a job from a folder and it has left no result there."""
    jobs = [path.name.removesuffix("_submitted.pkl") for path in folder.glob("*_submitted.pkl")]
    return any(not list(folder.glob(f"{job}_*_result.pkl")) for job in jobs)


def delete(goes: Sequence[Entry]) -> int:
    """Deletes entries, each vanishing in one step; gives the number of bytes.

    Raises:
        ArtifactError: if one cannot be deleted.
    """
    size = 0
    for entry in goes:
        with clear_io_errors("delete", entry.path), contextlib.suppress(FileNotFoundError):
            gone = entry.path.with_name(f".{entry.path.name}.{secrets.token_hex(4)}")
            entry.path.rename(gone)
            if gone.is_dir():
                shutil.rmtree(gone)
            else:
                gone.unlink()
            size += entry.size
    return size
