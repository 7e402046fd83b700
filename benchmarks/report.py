"""The tables that the measurement ends in, and a sentence."""

import statistics
from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks.clock import Timing
from benchmarks.rows import Row

DASH = "-"


def speed_table(
    title: str, rows: Sequence[Row], ours: Mapping[str, Timing], theirs: Mapping[str, Timing], *, beside: str
) -> Table:
    """Ratios to the bare pass by row name.

    Args:
        title: what was measured on what.
        rows: the lines.
        ours: what was measured of them.
        theirs: what was measured of the other library.
        beside: name of the other library, or empty for a table of ours alone.
    """
    others = (beside, "range", "theirs / ours") if beside else ()
    table = _table(title, "work", "s", "ours", "range", "limit", *others)
    for row in rows:
        mine, other = ours[row.name], theirs.get(row.name)
        limit = DASH if row.limit is None else f"{row.limit:g}"
        cells = [row.name, f"{statistics.median(mine.seconds):.3f}", *_ratio(mine), limit]
        if other is not None:
            quotients = [b / a for a, b in zip(mine.ratios, other.ratios, strict=True)]
            cells += [*_ratio(other), f"{statistics.median(quotients):.2f}"]
        elif beside:
            cells += ["has none" if row.lacking else DASH, DASH, DASH]
        table.add_row(*cells)
    return table


def further_methods(rows: Sequence[Row], ours: Mapping[str, Timing]) -> str:
    """What each forward-only method adds to the pass that msp pays for, in a sentence."""
    whole = next(row for row in rows if row.further)
    each = (ours[whole.name].ratio - ours["msp"].ratio) / whole.further
    return f"Each of the {whole.further} forward-only methods beyond msp adds {each:.3f} passes (limit 0.03)."


def agreement_table(rows: Sequence[Row], ours: Mapping[str, Timing], theirs: Mapping[str, Timing]) -> Table:
    """Whether both libraries found the same, for every row that both did."""
    table = _table("Do the scores agree?", "work", "largest difference", "rank correlation", "verdict", "what differs")
    for row in rows:
        if row.compare is None or row.name not in theirs:
            continue
        found = row.compare(ours[row.name].result, theirs[row.name].result)
        numbers = f"{found.difference:.1e} {found.unit}", f"{found.rank_correlation:.6f}"
        table.add_row(row.name, *numbers, found.verdict, found.why)
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left")
    table.add_column(first, overflow="fold")
    for heading in others:
        words = heading in ("verdict", "what differs")
        table.add_column(heading, justify="left" if words else "right", overflow="fold")
    return table


def _ratio(timing: Timing) -> tuple[str, str]:
    """Median, and least to most."""
    return f"{timing.ratio:.3f}", f"{min(timing.ratios):.3f} to {max(timing.ratios):.3f}"
