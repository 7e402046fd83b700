"""``ood-bench checkpoints list | fetch | verify``: looks after the files of registered networks."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ood_bench.checkpoints.registry import Registered, registered
from ood_bench.errors import ConfigError, OodBenchError
from ood_bench.utils.suggest import did_you_mean


def select(names: Sequence[str]) -> list[Registered]:
    """The networks of these names, or of the families that are called so; all if there are no names.

    Raises:
        ConfigError: if a name is neither.
    """
    known = registered()
    chosen: dict[str, Registered] = {}
    for name in names:
        found = {one: entry for one, entry in known.items() if one == name or one.startswith(f"{name}/")}
        if not found:
            hint = "ood-bench checkpoints list shows all names"
            raise ConfigError(f"no published network is called {name!r}{did_you_mean(name, known)}", hint)
        chosen |= found
    return list((chosen if names else known).values())


def list_networks(chosen: Sequence[Registered], root: Path) -> Table:
    """Table of the networks with what a run needs to know of them."""
    table = Table(title=f"Published networks, files under {escape(str(root))}", title_justify="left")
    for heading in ("checkpoint=", "state", "id", "words", "accuracy", "layout", "licence", "from"):
        table.add_column(heading, overflow="fold")
    for entry in chosen:
        state = "[green]present[/]" if (root / entry.file).exists() else "[red]missing[/]"
        accuracy = "" if entry.accuracy is None else f"{entry.accuracy:.2f}"
        accuracy += f" on {entry.accuracy_on}" if accuracy and entry.accuracy_on else ""
        came_from = "; ".join(filter(None, (entry.source, entry.url or entry.by_hand, entry.note)))
        name, *rest = map(escape, (entry.name, entry.id, entry.words, accuracy, entry.layout, entry.licence, came_from))
        table.add_row(name, state, *rest)
    return table


def fetch_networks(chosen: Sequence[Registered], root: Path, console: Console) -> int:
    """Downloads what is missing; returns the number of networks that are still missing."""
    failed = 0
    for entry in chosen:
        try:
            path = entry.fetch(root)
        except OodBenchError as error:
            failed += 1
            console.print(f"[red]{escape(entry.name)}: {escape(str(error))}[/]")
        else:
            console.print(escape(f"{entry.name}: {path}"))
    return failed


def verify_networks(chosen: Sequence[Registered], root: Path, console: Console, *, named: bool) -> int:
    """Compares files with the registry's sums; returns how many are others, or missing if they were ``named``."""
    failed = 0
    for entry in chosen:
        if not (root / entry.file).exists():
            if named:
                failed += 1
                console.print(f"[red]{escape(entry.name)}: missing; {escape(entry.origin(root))}[/]")
            continue
        try:
            entry.verify(root)
        except OodBenchError as error:
            failed += 1
            console.print(f"[red]{escape(str(error))}[/]")
        else:
            digits = {0: "no SHA-256 is known", 64: "whole"}.get(
                len(entry.sha256), f"the {len(entry.sha256)} digits of its SHA-256 that are known fit"
            )
            console.print(escape(f"{entry.name}: {root / entry.file}: {digits}"))
    return failed
