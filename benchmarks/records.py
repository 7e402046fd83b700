"""How long looking after many records takes: loading, ``store check``, a report; each in a process of its own."""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from msgspec.structs import replace

from ood_bench.results import RecordStore
from ood_bench.results.record import sealed

LIMITS = {"load": (50_000, 8.0), "check": (50_000, 60.0), "report": (5_000, 40.0)}
"""Records and the seconds that they may take."""
_MEMORY = 500  # MB that a check may take beyond its imports


def _load(results: Path) -> None:
    RecordStore(results).load()


def _check(results: Path) -> None:
    from ood_bench.store.checking import record_problems  # noqa: PLC0415 - its imports are not what is measured

    record_problems(results)


def _report(results: Path) -> None:
    from ood_bench.report import tables  # noqa: PLC0415

    tables.write(results)


WORK = {"load": _load, "check": _check, "report": _report}
"""What is done with a results folder."""


def copies(source: Path, target: Path, count: int, *, networks: bool = False) -> None:
    """Fills a results folder with copies of another's records.

    Args:
        source: the results folder whose records are copied, again and again.
        target: the results folder that they go to.
        count: how many copies.
        networks: whether copies are of networks of another name each time around, rather than of another seed each.
    """
    store, known = RecordStore(target), RecordStore(source).load()
    for number, record in enumerate(islice(cycle(known), count)):
        checkpoint = replace(record.checkpoint, sha256=f"{number:064x}")
        own = {"model": f"{record.model}_{number // len(known)}"} if networks else {"seed": number}
        copy = replace(record, cell_key=f"{number:016x}", checkpoint=checkpoint, **own)
        path = store.path(copy)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(sealed(copy.to_json()), encoding="utf-8")  # the store would wait for the disk each time


def measure(work: str, results: Path) -> tuple[float, float]:
    """Seconds and MB that one kind of work takes beyond its imports, in a new process."""
    command = [sys.executable, "-m", "benchmarks.records", "--work", work, "--results", str(results)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - this very file
    seconds, megabytes = map(float, said.split()[-2:])
    return seconds, megabytes


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line for each kind of work.

    Args:
        arguments: the command line without the program's name; that of the process if none.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.records", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the records to try (default: 1)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="whose records are copied")
    parser.add_argument("--work", choices=WORK, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.work:
        WORK[options.work](options.results / "none")  # imports what it needs
        before, start = _peak(), time.perf_counter()
        WORK[options.work](options.results)
        sys.stdout.write(f"{time.perf_counter() - start} {_peak() - before}\n")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        for work, (records, limit) in LIMITS.items():
            count, results = round(records * options.scale), Path(folder) / str(records)
            if not results.exists():
                copies(options.results, results, count)
                os.sync()  # or the copies are still being written while they are read
            seconds, megabytes = measure(work, results)
            allowed = f"limit {limit:g} s for {records:,}" + (f", {_MEMORY} MB" if work == "check" else "")
            sys.stdout.write(f"{work:7} {count:7,} records {seconds:8.2f} s {megabytes:8.0f} MB   {allowed}\n")
    return 0


def _peak() -> float:
    """Peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    sys.exit(main())
