"""``ood-bench store check | gc | export | speeds``: looks after artifacts and records."""

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.filesize import decimal

from ood_bench.results import RecordStore
from ood_bench.results.frame import export
from ood_bench.store import checking, garbage
from ood_bench.store.inventory import KINDS, Entry, entries, leftovers
from ood_bench.utils.configs import default_data_root
from ood_bench.utils.console import existing, not_negative, one_message, plain_log
from ood_bench.utils.files import write_atomically

_log = logging.getLogger("ood_bench.store")
_HOUR = 3600.0


def build_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = argparse.ArgumentParser(prog="ood-bench store", description="Looks after artifacts and records.")
    place = argparse.ArgumentParser(add_help=False)
    default = Path(default_data_root()) / "store"
    place.add_argument("--store", type=Path, default=default, metavar="DIR", help="default: $OOD_BENCH_DATA/store")
    results = argparse.ArgumentParser(add_help=False)
    results.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="default: results")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", parents=[place, results], help="sizes, and whatever is torn or was changed")
    check.add_argument("--quick", action="store_true", help="of image sets look at the sizes only, not at every pixel")
    check.add_argument("--set-aside", action="store_true", help="move damaged files out of the way; deletes nothing")
    gc = commands.add_parser("gc", parents=[place], help="what no record refers to; shown, and deleted on demand")
    gc.add_argument(
        "--results",
        type=Path,
        action="append",
        metavar="DIR",
        help="once for each folder with records (default: results)",
    )
    gc.add_argument("--delete", action="store_true", help="delete it; else it is only shown")
    gc.add_argument(
        "--also",
        choices=garbage.ASKABLE,
        action="append",
        default=[],
        help="this kind goes although records refer to it",
    )
    gc.add_argument(
        "--older-than", type=not_negative, default=24.0, metavar="HOURS", help="leave younger things (default: 24)"
    )
    gc.add_argument("--without-records", action="store_true", help="a folder without records is meant")
    out = commands.add_parser("export", parents=[results], help="all records as one table")
    out.add_argument("file", type=Path, help="ends in .csv or .parquet")
    fast = commands.add_parser("speeds", parents=[place], help="how fast classifiers were trained, on which device")
    fast.add_argument("file", type=Path, nargs="?", help="write it as CSV, too")
    return parser


@one_message
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; gives 1 if something is damaged, 2 for what the user has to fix, else 0."""
    plain_log()
    chosen = build_parser().parse_args(arguments)
    if "store" in chosen:
        existing("--store", chosen.store)
    if chosen.command in ("check", "export"):
        existing("--results", chosen.results)
    return {"check": _check, "gc": _gc, "export": _export, "speeds": _speeds}[chosen.command](chosen)


def _check(chosen: argparse.Namespace) -> int:
    records, bare, problems, torn = checking.record_problems(chosen.results)
    found = entries(chosen.store)
    said = {entry: checking.faults(entry, deep=not chosen.quick) for entry in found}
    broken = [entry for entry in found if said[entry]]
    _log.info(
        "records in %s: %d valid, %d of them without a seal; %d damaged", chosen.results, records, bare, len(problems)
    )
    _sizes(f"artifacts in {chosen.store}", found)
    if half := leftovers(chosen.results):
        _sizes(f"half-written files below {chosen.results}, which `ood-bench store gc --delete` clears", half)
    for entry in broken:
        _log.error("damaged: %s: %s", entry.path, said[entry])
    for line in torn:
        _log.error("damaged details: %s", line)
    if not problems and not broken:
        return 1 if torn else 0
    if not chosen.set_aside:
        _log.error(
            "--set-aside moves what is damaged out of the way; artifacts are made again, records by running again"
        )
        return 1
    for line in checking.set_aside(chosen.results, problems, broken):
        _log.info("set aside: %s", line)
    return 1


def _gc(chosen: argparse.Namespace) -> int:
    folders = chosen.results or [Path("results")]
    records = garbage.records_of(folders, without_records=chosen.without_records)
    every = [*entries(chosen.store), *(one for folder in folders for one in leftovers(folder))]
    found = garbage.sort(every, records, also=chosen.also, older=chosen.older_than * _HOUR)
    _sizes("stays, records refer to it", found.referred)
    _sizes(f"stays, in use or younger than {chosen.older_than:g} hours", found.young)
    for entry in found.goes:
        _log.info("%s: %s (%s)", "deleting" if chosen.delete else "would go", entry.path, decimal(entry.size))
    _sizes("goes", found.goes)
    if chosen.delete:
        _log.info("deleted %s", decimal(garbage.delete(found.goes)))
    elif found.goes:
        _log.info("nothing was deleted: --delete does it")
    return 0


def _export(chosen: argparse.Namespace) -> int:
    store = RecordStore(chosen.results)
    count = export(store.load(), chosen.file)
    _log.info("%d records written to %s (%s)", count, chosen.file, decimal(chosen.file.stat().st_size))
    return 1 if store.problems else 0


def _speeds(chosen: argparse.Namespace) -> int:
    from ood_bench.store.speeds import speeds  # noqa: PLC0415 - importing pandas takes a second

    table = speeds(chosen.store)
    shown = table.drop(columns=["key", "device", "precision"], errors="ignore").astype(object).fillna("-")
    _log.info("%s", shown.to_string(index=False) if len(table) else f"no classifier in {chosen.store}")
    if chosen.file:
        write_atomically(chosen.file, table.to_csv(index=False).encode())
    return 0


def _sizes(title: str, found: Iterable[Entry]) -> None:
    """One line for each kind of entry: how many and how large."""
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for entry in found:
        counts[entry.kind] += 1
        sizes[entry.kind] += entry.size
    _log.info("%s: %d entries, %s", title, counts.total(), decimal(sizes.total()))
    for kind in KINDS:
        if counts[kind]:
            _log.info("  %-11s %6d  %9s", kind, counts[kind], decimal(sizes[kind]))


if __name__ == "__main__":
    sys.exit(main())
