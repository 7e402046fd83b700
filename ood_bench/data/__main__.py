"""``ood-bench data list | verify | fetch``: looks after the image sets."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ood_bench.data.catalogue import Entry, entries, select
from ood_bench.data.imageset import titled
from ood_bench.errors import OodBenchError
from ood_bench.utils.configs import default_data_root
from ood_bench.utils.console import one_message, plain_log
from ood_bench.utils.printable import printable

_WIDTH_OF_A_PIPE = 200


def build_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = argparse.ArgumentParser(prog="ood-bench data", description="Looks after the image sets.")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--root",
        type=Path,
        default=Path(default_data_root()),
        help="data root (default: $OOD_BENCH_DATA, else ./data)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    texts = {
        "list": "show every set: there or missing, licence, and where to get it",
        "verify": "read sets from their files, check them, and show their fingerprints (without names: all present)",
        "fetch": "download sets whose mirrors are known",
    }
    for name, text in texts.items():
        command = commands.add_parser(name, parents=[shared], help=text, description=text)
        command.add_argument("names", metavar="NAME", nargs="+" if name == "fetch" else "*", help="config name")
    return parser


def list_sets(chosen: Sequence[Entry], root: Path) -> Table:
    """Table of the sets with their state under ``root``."""
    table = Table(title=f"Image sets under {escape(str(root))}", title_justify="left")
    for heading in ("set", "state", "name (variant)", "licence", "from"):
        table.add_column(heading, overflow="fold")
    for entry in chosen:
        source = entry.source
        state = "[green]present[/]" if source.missing(root) is None else "[red]missing[/]"
        cells = (
            entry.label,
            titled(source.name, source.full_variant),
            entry.licence,
            "; ".join(filter(None, (source.origin(), entry.note))),
        )
        label, *rest = map(escape, cells)
        table.add_row(label, state, *rest)
    return table


def verify_sets(chosen: Sequence[Entry], root: Path, named: bool) -> tuple[Table, int]:
    """Reads the sets in full; returns what was found and how many failed, with missing ones if they were ``named``."""
    table = Table(title=f"Image sets read from {escape(str(root))}", title_justify="left")
    for heading in ("set", "images", "shape", "fingerprint", "verdict"):
        table.add_column(heading, overflow="fold")
    failed = 0
    for entry in chosen:
        if not named and entry.source.missing(root) is not None:
            continue
        try:
            whole = entry.source.read(root)
        except OodBenchError as error:
            failed += 1
            table.add_row(escape(entry.label), "", "", "", f"[red]{escape(printable(str(error)))}[/]")
        else:
            shape = "×".join(map(str, whole.shape))
            table.add_row(escape(entry.label), f"{len(whole):,}", shape, whole.fingerprint, "[green]whole[/]")
    return table, failed


def fetch_sets(chosen: Sequence[Entry], root: Path, console: Console) -> int:
    """Downloads what is missing; returns the number of sets that are still missing."""
    failed = 0
    for entry in chosen:
        if entry.source.missing(root) is None:
            console.print(f"{escape(entry.label)}: present")
            continue
        try:
            entry.source.fetch(root)
        except OodBenchError as error:
            failed += 1
            console.print(f"[red]{escape(entry.label)}: {escape(printable(str(error)))}[/]")
        else:
            console.print(f"{escape(entry.label)}: fetched")
    return failed


@one_message
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; exit status 0 if all went well, 1 if a set failed, 2 for what the user has to fix."""
    options = build_parser().parse_args(arguments)
    plain_log()
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE, highlight=False)
    chosen = select(entries(), options.names)
    if options.command == "list":
        console.print(list_sets(chosen, options.root))
        return 0
    if options.command == "fetch":
        return 1 if fetch_sets(chosen, options.root, console) else 0
    table, failed = verify_sets(chosen, options.root, named=bool(options.names))
    console.print(table)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
