"""The blocks of papers' tables that this project reproduces: their cells, and the numbers published for them."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from omegaconf import OmegaConf
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ood_bench import papers
from ood_bench.config import conf_dir
from ood_bench.errors import ConfigError
from ood_bench.results import Record

Aspect = Literal["classifier", "training", "images", "rows", "tuning", "settings", "metrics"]
"""What a protocol fixes, in the page's comparison of the paper's with ours."""
_Names = Annotated[list[str], Field(min_length=1)]


class Second(BaseModel):
    """Other published numbers for the same cells, such as an unofficial code's.

    Attributes:
        title: what their columns are called.
        table: value of the file's column ``table``.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    title: str
    table: str


class Block(BaseModel):
    """One block of a paper's table: one model on one ID set; the node ``paper`` of ``conf/paper/<name>.yaml``.

    Attributes:
        name: name of the block and of its files.
        title: heading of its page.
        csv: file of published numbers, without ``.csv``.
        table: value of that file's column ``table``.
        model: model name.
        id: name of the ID set.
        protocol: protocol name.
        ood: names of the OOD sets, in the table's order.
        methods: method names, in the table's order.
        published_only: those of them that the config does not run, because nothing says how to.
        metrics: metric names, in the table's order.
        reference: where the paper is, as in ``"arXiv 2011.14654"``.
        notes: remarks on the published numbers, a sentence each.
        second: further published numbers, shown beside the paper's; none for most blocks.
        names: published names of those of our names that the file spells differently.
        says: what the paper or its code does, by aspect ("classifier", "rows", ...), for the page's comparison.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: str
    title: str
    csv: str
    table: str
    model: str
    id: str
    protocol: str
    ood: _Names
    methods: _Names
    metrics: _Names
    reference: str
    notes: list[str] = []
    second: Second | None = None
    names: dict[str, str] = {}
    published_only: list[str] = []
    says: dict[Aspect, str] = {}

    def theirs(self, name: str) -> str:
        """The published file's word for one of our names."""
        return self.names.get(name, name)

    @functools.cached_property
    def published(self) -> dict[tuple[str, str, str], str]:
        """Published values as printed, by the file's words for method, OOD set and metric."""
        return self._cells(self.table)

    @functools.cached_property
    def seconds(self) -> dict[tuple[str, str, str], str]:
        """The same of the further numbers."""
        return {} if self.second is None else self._cells(self.second.table)

    def _cells(self, table: str) -> dict[tuple[str, str, str], str]:
        rows = papers.block(self.csv, table, self.theirs(self.model), self.theirs(self.id))
        cells = zip(rows["method"], rows["ood_dataset"], rows["metric"], rows["printed"], strict=True)
        return {(method, ood, metric): printed for method, ood, metric, printed in cells}

    @functools.cached_property
    def sources(self) -> list[str]:
        """Where the published numbers were read, as the file says."""
        rows = papers.block(self.csv, self.table, self.theirs(self.model), self.theirs(self.id))
        return sorted(set(rows["source"]))

    def printed(self, method: str, ood: str, metric: str) -> str | None:
        """The published value as its source prints it, in percent, or none.

        Numbers that depend on no OOD set, such as accuracies, are the same for all.

        Raises:
            ConfigError: if the file has nothing for this block at all.
        """
        places = (self.theirs(ood), "", "none")
        found = (self.published.get((self.theirs(method), place, self.theirs(metric))) for place in places)
        return next((value for value in found if value is not None), None)

    def printed_second(self, method: str, ood: str, metric: str) -> str | None:
        """The further published value as its source prints it, in percent, or none."""
        return self.seconds.get((self.theirs(method), self.theirs(ood), self.theirs(metric)))

    def concerns(self, record: Record) -> bool:
        """Whether the record is of this model, ID set and protocol."""
        return (record.model, record.id, record.protocol) == (self.model, self.id, self.protocol)

    def holds(self, record: Record) -> bool:
        """Whether the record is of one of this block's cells."""
        return self.concerns(record) and record.method in self.methods and record.ood in self.ood


def load_blocks(conf: Path | None = None) -> list[Block]:
    """Every block in ``conf/paper``, sorted by name.

    Args:
        conf: another folder of configs than the shipped one.

    Raises:
        ConfigError: if a file has no usable node ``paper``.
    """
    folder = (conf or conf_dir()) / "paper"
    return [_block(path) for path in sorted(folder.glob("*.yaml"))]


def _block(path: Path) -> Block:
    try:
        content = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except Exception as error:  # the YAML parser's errors and OmegaConf's share no other base
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    node = content.get("paper") if isinstance(content, dict) else None
    if not isinstance(node, dict):
        raise ConfigError(f"{path}: has no node `paper:` with the block's name, csv, table, model, id, ...")
    try:
        block = Block.model_validate(node)
    except ValidationError as error:
        found = [f"paper.{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise ConfigError(f"{path}: " + "; ".join(found)) from error
    if block.name != path.stem:
        raise ConfigError(f"{path}: paper.name is {block.name!r}; it must be {path.stem!r}, like the file")
    return block


def block_of(record: Record, blocks: Sequence[Block]) -> Block | None:
    """The first block that has a cell for the record, or none."""
    return next((block for block in blocks if block.holds(record)), None)
