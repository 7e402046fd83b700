"""The records that a command line names, and the evaluations that it asks for."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from ood_bench.errors import ConfigError
from ood_bench.explain.cells import KeptCell
from ood_bench.explain.ends import End, end_by, own_end, protocol_named
from ood_bench.explain.explained import explain
from ood_bench.explain.explanation import Explanation
from ood_bench.explain.mixed import Mixed
from ood_bench.explain.rebuilt import Rebuilt
from ood_bench.explain.rules import name_in
from ood_bench.papers.block import Block, block_of, load_blocks
from ood_bench.protocols.base import Protocol
from ood_bench.results import Record, RecordStore
from ood_bench.scoring.kept import NotKeptError
from ood_bench.utils.configs import config_files

PLAIN = "plain"
_LEAST = 4
_TRAIN_ROWS = "train_rows="
_TEN = 10


@dataclass(frozen=True)
class Asked:
    """What a ladder is asked for.

    Attributes:
        metric: the metric.
        start: protocol that it starts from, as in ``plain`` or ``odin:per_set,skip=0``.
        end: protocol that it leads to; empty for that of the record.
        store: the artifact store.
        own: folders of configs beside the shipped one.
    """

    metric: str
    start: str
    end: str
    store: Path
    own: tuple[Path, ...] = ()

    def cell(self, record: Record) -> KeptCell:
        """What is kept of a recorded cell; raises :class:`NotKeptError` if nothing is."""
        return KeptCell(record, self.store, own=self.own)


def path_named(words: str, results: Path) -> Path:
    """A record's file by its path or the first digits of its cell's key.

    Raises:
        ConfigError: if there is none, or several.
    """
    path = Path(words)
    if path.suffix != ".json":
        found = sorted((results / "records").rglob(f"seed*-{words}*.json")) if len(words) >= _LEAST else []
        if len(found) != 1:
            several = f"{len(found)} records" if found else "no record"
            raise ConfigError(
                f"{results} has {several} with the cell key {words!r}",
                "name a record's file, its key of 16 hex digits, or paper=NAME",
            )
        path = found[0]
    if not path.is_file():
        raise ConfigError(f"there is no file {path}", "name a record's file or its cell key")
    return path


def record_named(words: str, results: Path) -> tuple[Record, list[Record]]:
    """A record by :func:`path_named`, and the records of the same row's other networks.

    Raises:
        ConfigError: if there is none, or several.
        RecordError: if the file is damaged.
    """
    path = path_named(words, results)
    record = Record.from_json(path.read_bytes(), path)
    beside = [Record.from_json(one.read_bytes(), one) for one in sorted(path.parent.glob("seed*.json")) if one != path]
    return record, networks_beside(record, beside)


def methods_beside(words: str, results: Path) -> list[tuple[Record, list[Record]]]:
    """For each method that was scored like the named record, on its images and network, its record.

    Raises:
        ConfigError: if there is no such record, or several.
        RecordError: if a file is damaged.
    """
    path = path_named(words, results)
    record = Record.from_json(path.read_bytes(), path)
    files = sorted(path.parents[2].glob(f"*/{path.parent.name}/seed*.json"))
    others = [Record.from_json(one.read_bytes(), one) for one in files]
    same = [one for one in others if _images(one) == _images(record)]
    return [(one, []) for one in same if one.checkpoint.identity == record.checkpoint.identity]


def networks_beside(record: Record, others: Sequence[Record]) -> list[Record]:
    """One record for each other network of the same row, on the same images."""
    same = [one for one in others if _row(one) == _row(record)]
    by_network = {one.checkpoint.identity: one for one in reversed(same)}
    by_network.pop(record.checkpoint.identity, None)
    return sorted(by_network.values(), key=lambda one: one.seed)


def _row(record: Record) -> tuple[str | None, ...]:
    return record.id, record.model, record.protocol, record.method, record.variant, record.ood, *_images(record)


def _images(record: Record) -> tuple[str | None, ...]:
    return record.data.id_test.fingerprint, record.data.ood.fingerprint


def classes_of(cell: KeptCell) -> int:
    """Number of classes of a cell's ID set, by its network or by the configs."""
    if isinstance(cell.banks, Rebuilt):
        return int(cell.banks.scorer.classifier.card["spec"]["classes"])
    return classes_named(cell.record.id, cell.own) or _TEN


@functools.cache
def classes_named(name: str, own: tuple[Path, ...] = ()) -> int | None:
    """Number of classes of an ID set by the configs, or none if it is not among them."""
    for path in config_files("id", own).values():
        node: Any = OmegaConf.load(path)
        if node.get("name") == name and node.get("classes"):
            return int(node.classes)
    return None


def of_record(record: Record, beside: Sequence[Record], wanted: Asked) -> Explanation:
    """The ladder of a record, with the mean over its row's networks as the last rung.

    Raises:
        ConfigError: if a protocol is unknown, or the record's own is plain and none is asked for.
        NotKeptError: if nothing was kept of the cell.
        MetricError: if a convention has no such metric.
    """
    block = block_of(record, load_blocks(own=wanted.own))
    mixed = _mixed(wanted.cell(record), block, wanted)
    peers, lost = [], False
    for one in beside:
        try:
            peers.append(_mixed(wanted.cell(one), block, wanted))
        except NotKeptError:
            lost = True
    printed = None
    if block is not None and mixed.ends[1].recorded:
        printed = block.printed(record.method, record.ood, mixed.metrics[1])
    runs = block.runs(record.method, record.ood, mixed.metrics[1]) if block is not None else 1
    return explain(mixed, peers, printed, runs=runs, images=block.images if block is not None else "", lost=lost)


def of_two(first: Record, second: Record, wanted: Asked) -> Explanation:
    """The ladder from one record to another, each as it was recorded."""
    blocks = load_blocks(own=wanted.own)
    cells = [wanted.cell(record) for record in (first, second)]
    ends = [own_end(cell, _own_protocol(cell, block_of(cell.record, blocks))) for cell in cells]
    return explain(_between(ends[0], ends[1], wanted.metric))


def _mixed(cell: KeptCell, block: Block | None, wanted: Asked) -> Mixed:
    own = cell.record.protocol
    if not wanted.end and own == wanted.start:
        raise ConfigError(
            f"{cell.title}: its protocol is {own}, where the ladder starts",
            "name where it leads to, as in --to odin, or two records",
        )
    start, end = (_end(cell, block, words) for words in (wanted.start, wanted.end or own))
    return _between(start, end, wanted.metric)


def _between(start: End, end: End, metric: str) -> Mixed:
    return Mixed(start, end, (name_in(start.convention, metric), name_in(end.convention, metric)))


def _end(cell: KeptCell, block: Block | None, words: str) -> End:
    if words == cell.record.protocol:
        return own_end(cell, _own_protocol(cell, block))
    bare, count = split_train_rows(words)
    if count is not None:
        cell = cell.fitted_on(count)
    return end_by(cell, _protocol(cell, bare, block), words)


def split_train_rows(words: str) -> tuple[str, int | None]:
    """A protocol's words without ``train_rows=N``, and N, the number of images that a method is fitted on.

    >>> split_train_rows("plain:none,train_rows=1000,id_rows=300")
    ('plain:none,id_rows=300', 1000)

    Raises:
        ConfigError: if it is not a number.
    """
    parts = words.split(",")
    given = [part for part in parts if part.startswith(_TRAIN_ROWS)]
    if not given:
        return words, None
    if not (value := given[-1].removeprefix(_TRAIN_ROWS)).isdecimal():
        raise ConfigError(f"{words}: {given[-1]!r} is not a number of images", "write it as in plain,train_rows=1000")
    return ",".join(part for part in parts if part not in given), int(value)


def _own_protocol(cell: KeptCell, block: Block | None) -> Protocol:
    """The record's protocol; a block's may have a name and options of its own."""
    return _protocol(cell, cell.record.protocol, block)


def _protocol(cell: KeptCell, words: str, block: Block | None) -> Protocol:
    return protocol_named(words, classes_of(cell), block.name if block is not None else "", cell.own)


def block_named(name: str, own: Sequence[Path] = ()) -> Block:
    """A paper's block by the name of its config.

    Args:
        name: the block's name.
        own: folders of configs beside the shipped one.

    Raises:
        ConfigError: if there is none.
    """
    found = next((block for block in load_blocks(own=own) if block.name == name), None)
    if found is None:
        raise ConfigError(f"no paper {name!r}", "ood-bench list paper shows all")
    return found


def rows_of(block: Block, results: Path) -> list[tuple[Record, list[Record]]]:
    """For each row of a block that ran, its first record and those of its other networks."""
    rows: dict[tuple[str | None, ...], list[Record]] = {}
    for record in RecordStore(results).load():
        if block.holds(record):
            rows.setdefault(_row(record), []).append(record)
    first = [sorted(mine, key=lambda one: one.seed) for mine in rows.values()]
    ordered = sorted(first, key=lambda mine: (block.scored.index(mine[0].ood), block.methods.index(mine[0].method)))
    return [(mine[0], networks_beside(mine[0], mine[1:])) for mine in ordered]
