"""What ``ood-bench explain`` shows: text, JSON, and charts that are drawn when they are asked for."""

import argparse
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ood_bench.errors import ConfigError
from ood_bench.explain import find, show
from ood_bench.explain.cells import EXACT, PAPER, KeptCell
from ood_bench.explain.explanation import Explanation
from ood_bench.explain.multiverse import Multiverse, multiverse
from ood_bench.explain.ranked import Ranked
from ood_bench.explain.rules import asked
from ood_bench.results import Record
from ood_bench.results.record_store import slug
from ood_bench.scoring.kept import NotKeptError

_MOST = 12
_log = logging.getLogger("ood_bench.explain")


@dataclass(frozen=True)
class Shown:
    """The answer to one command.

    Attributes:
        text: for the terminal.
        content: JSON-able.
        charts: makes charts with their data as JSON: file name without ending, and content by ending.
    """

    text: str
    content: Any
    charts: Callable[[], Iterator[tuple[str, Mapping[str, bytes]]]]


def asked_for(chosen: argparse.Namespace) -> find.Asked:
    """What the command line asks of a ladder.

    Raises:
        MetricError: if the metric is none that conventions compute.
    """
    asked(chosen.metric)
    return find.Asked(chosen.metric, chosen.start, chosen.to, chosen.store, tuple(chosen.config_dir))


def ladder(cells: Sequence[str], results: Path, wanted: find.Asked) -> Shown:
    """The ladder of a cell, or between two."""
    records = [find.record_named(word, results) for word in cells]
    if len(records) == 1:
        explained = find.of_record(*records[0], wanted)
    else:
        explained = find.of_two(records[0][0], records[1][0], wanted)
    return Shown(show.text(explained), show.as_json(explained), lambda: _waterfalls([explained]))


def ladders(paper: str, results: Path, wanted: find.Asked) -> Shown:
    """The ladder of every row of a block whose scores were kept."""
    explained = []
    for record, beside in find.rows_of(find.block_named(paper, wanted.own), results):
        try:
            explained.append(find.of_record(record, beside, wanted))
        except NotKeptError as error:
            _log.warning("left out: %s", error)
    if not explained:
        raise ConfigError(
            f"{results} has no cell of paper={paper} whose scores or banks are in {wanted.store}",
            "score its cells again with scoring.details=all and the same store.root",
        )
    content = [show.as_json(one) for one in explained]
    return Shown(show.block_table(explained), content, lambda: _waterfalls(explained))


def _waterfalls(explained: Sequence[Explanation]) -> Iterator[tuple[str, Mapping[str, bytes]]]:
    from ood_bench.explain.chart import waterfall  # noqa: PLC0415 - importing matplotlib takes a second

    for one in explained:
        name = slug(f"{one.title} {one.metric} {one.start} to {one.end}")
        yield name, waterfall(one) | {"json": as_bytes(show.as_json(one))}


def every_convention(what: str, results: Path, wanted: find.Asked) -> Shown:
    """Methods under every defensible convention, each the mean over OOD sets and networks.

    Args:
        what: ``paper=NAME`` for the methods of a block; a cell for those beside it on the same network and images.
        results: the results folder.
        wanted: metric, store and configs.
    """
    paper = what.removeprefix("paper=")
    rows = (
        find.methods_beside(what, results)
        if paper == what
        else find.rows_of(find.block_named(paper, wanted.own), results)
    )
    cells = _kept_cells(rows, what, wanted)
    found = multiverse({name: [_ranked(cell) for cell in mine] for name, mine in cells.items()}, wanted.metric)
    shown = cells[next(iter(cells))][0].title.partition(" on ")[2] if paper == what else what
    title = f"{shown}: {len(found.universes)} conventions; cells of each method: {len(next(iter(cells.values())))}"
    content = multiverse_json(found, what, title, rows[0][0].cell_key)

    def charts() -> Iterator[tuple[str, Mapping[str, bytes]]]:
        from ood_bench.explain.chart import curves  # noqa: PLC0415 - importing matplotlib takes a second

        lines = {name: curve for name in found.values if (curve := found.curve(name))}
        files = curves(lines, wanted.metric, title) | {"json": as_bytes(content)}
        yield slug(f"{what} {wanted.metric} all conventions"), files

    return Shown(_multiverse_text(found, title), content, charts)


def multiverse_json(found: Multiverse, what: str, title: str, cell_key: str) -> dict[str, Any]:
    """All numbers of a multiverse, JSON-able.

    Args:
        found: the numbers.
        what: ``paper=NAME``, or the cell beside which its methods stand.
        title: what is shown, in words.
        cell_key: key of one of its records.
    """
    return {
        "of": what,
        "title": title,
        "cell_key": cell_key,
        "metric": found.metric,
        "conventions": [asdict(one) for one in found.universes],
        "values": found.values,
        "pairs": [asdict(swap) for swap in found.swaps()],
    }


def as_bytes(content: Any) -> bytes:
    """JSON as files have it."""
    return json.dumps(content, indent=1, sort_keys=True).encode() + b"\n"


def _kept_cells(
    rows: Sequence[tuple[Record, Sequence[Record]]], what: str, wanted: find.Asked
) -> dict[str, list[KeptCell]]:
    """By method, the cells on those OOD sets and networks of which every method's scores were kept."""
    kept: dict[str, dict[tuple[str, str], KeptCell]] = {}
    for first, beside in rows:
        for record in (first, *beside):
            try:
                cell = wanted.cell(record)
            except NotKeptError as error:
                _log.warning("left out: %s", error)
                continue
            name = f"{record.method} {record.variant}".rstrip()
            kept.setdefault(name, {})[record.data.ood.title, str(record.seed)] = cell
    places = set.intersection(*(set(mine) for mine in kept.values())) if kept else set()
    if not places:
        raise ConfigError(
            f"{what}: on no OOD set are the scores of all methods in {wanted.store}",
            "score its cells again with scoring.details=all and the same store.root",
        )
    return {name: [mine[place] for place in sorted(places)] for name, mine in kept.items()}


def _ranked(cell: KeptCell) -> dict[str, Ranked]:
    """Scores at the record's rows: exact ones, and those of papers' code where they are others and were kept."""
    exact = cell.known(None, EXACT)
    rows = exact.rows if cell.file is None else cell.file.rows
    found = {EXACT: Ranked(*exact.at(rows))}
    if cell.record.from_scores is None and cell.detector.paper_revision > 0:
        try:
            found[PAPER] = Ranked(*cell.known(None, PAPER).at(rows))
        except NotKeptError as error:
            _log.warning("%s: float64 only (%s)", cell.title, error)
    return found


def _multiverse_text(found: Multiverse, title: str) -> str:
    curves = {name: found.curve(name) for name in found.values}
    lines = [title, "", f"{'method':30} {'least':>8} {'median':>8} {'most':>8} {'range':>8} {'numbers':>8}"]
    for name, curve in sorted(curves.items()):
        if curve:
            least, middle, most = curve[0], curve[len(curve) // 2], curve[-1]
            lines.append(f"{name[:30]:30} {least:8.2f} {middle:8.2f} {most:8.2f} {most - least:8.2f} {len(curve):8}")
    swaps = [swap for swap in found.swaps() if swap.behind]
    lines += ["", f"{len(swaps)} pairs of methods change places" + (", most often:" if swaps else ".")]
    for swap in swaps[:_MOST]:
        share = 100 * swap.behind / (swap.ahead + swap.behind + swap.level)
        lines.append(f"  {swap.second} ahead of {swap.first} under {swap.behind} conventions ({share:.0f} %)")
    return "\n".join(lines) + "\n"
