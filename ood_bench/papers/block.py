"""The blocks of papers' tables that this project reproduces: their cells, and the numbers published for them."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from ood_bench.errors import ConfigError
from ood_bench.papers.audit import PATTERNS, Flag, flags
from ood_bench.papers.published import file_of, select
from ood_bench.papers.selection import ConfigFiles, layers_of, merged, selected
from ood_bench.results import Record
from ood_bench.utils.configs import conf_dir
from ood_bench.utils.faults import faults

if TYPE_CHECKING:
    import pandas as pd

Aspect = Literal["classifier", "training", "images", "rows", "tuning", "settings", "metrics"]
"""What a protocol fixes, in the page's comparison of the paper's with ours."""
AVERAGE = "average"
"""What stands for the OOD set in cells that average over several."""
_Names = Annotated[list[str], Field(min_length=1)]
_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
_ANY = ("", "none")  # what the files have for the OOD set where a number depends on none
_CLASSIFIER = ("none", "none", "test_error")


class _Printed(NamedTuple):
    """A published value as printed, and of how many runs it is the mean."""

    value: str
    runs: int


class Further(BaseModel):
    """Other published numbers for the same cells, such as an unofficial code's or another version's of the paper.

    Attributes:
        title: what their columns are called.
        table: value of the file's column ``table``.
        names: words of that table for our names, where they are not those of the block's.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    title: str
    table: str
    names: dict[str, str] = {}


class Block(BaseModel):
    """One block of a paper's table: one model on one ID set; the node ``paper`` of ``conf/paper/<name>.yaml``.

    ``model``, ``id``, ``protocol``, ``ood`` and ``methods`` are those that the file selects; the node names only those
    of them in which the published table differs from what is run.

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
        also: tables of that file with other cells of the same published table, such as noise sets printed elsewhere.
        further: other published numbers, shown beside the paper's; none for most blocks.
        classifier: tables of that file that hold the classifier's test error (method and OOD set "none").
        average_of: the OOD sets of which ``ood: [average]`` is the mean, by default those that the file selects; empty
            where no average is shown.
        groups: OOD sets by the name in ``ood`` that stands for the mean over them, such as near and far.
        spread: which standard deviation over networks the published table has, and ours beside it.
        images: variant of the image sets that the published table is of, where that is not the official release.
        weights: first digits (eight or more) of the hashes of the networks that made the published numbers, as records
            have them (``weights_sha256``); empty where none are known.
        drawn: OOD sets of which the paper's code draws rows or pixels anew in each run.
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
    also: list[str] = []
    further: list[Further] = []
    classifier: list[str] = []
    average_of: list[str] = []
    groups: dict[str, _Names] = {}
    spread: Literal["sample", "population"] = "sample"
    images: str = ""
    weights: list[_Hash] = []
    drawn: list[str] = []
    names: dict[str, str] = {}
    published_only: list[str] = []
    says: dict[Aspect, str] = {}

    _own: Path | None = PrivateAttr(default=None)  # a folder of one's own that the block's file lies in

    @property
    def csv_place(self) -> str:
        """Where the file of published numbers lies, in the repository or in a folder of configs."""
        own = file_of(self.csv, self._own).parent == self._own
        return f"{'paper' if own else 'ood_bench/papers'}/{self.csv}.csv"

    def _select(self, table: str) -> "pd.DataFrame":
        return select(self.csv, table, self.theirs(self.model), self.theirs(self.id), self._own)

    def theirs(self, name: str) -> str:
        """The published file's word for one of our names."""
        return self.names.get(name, name)

    @functools.cached_property
    def published(self) -> dict[tuple[str, str, str], _Printed]:
        """Published values by the file's words for method, OOD set and metric."""
        return {key: value for cells in self._by_table.values() for key, value in cells.items()}

    @functools.cached_property
    def _by_table(self) -> dict[str, dict[tuple[str, str, str], _Printed]]:
        return {table: self._cells(table) for table in (self.table, *self.also)}

    @functools.cached_property
    def _further(self) -> list[dict[tuple[str, str, str], _Printed]]:
        return [self._cells(one.table) for one in self.further]

    def _cells(self, table: str) -> dict[tuple[str, str, str], _Printed]:
        rows = self._select(table)
        cells = zip(rows["method"], rows["ood_dataset"], rows["metric"], rows["printed"], rows["runs"], strict=True)
        return {(method, ood, metric): _Printed(printed, int(runs)) for method, ood, metric, printed, runs in cells}

    @functools.cached_property
    def sources(self) -> list[str]:
        """Where the published numbers were read, as the file says."""
        tables = (self.table, *self.also)
        rows = [self._select(table) for table in tables]
        return sorted({source for block in rows for source in block["source"]})

    def printed(self, method: str, ood: str, metric: str, further: int | None = None) -> str | None:
        """The published value as its source prints it, in percent, or none; that of a further table by its number.

        Numbers that depend on no OOD set, such as accuracies, are the same for all.

        Raises:
            ConfigError: if the file has nothing for this block at all.
        """
        cells = self.published if further is None else self._further[further]
        names = {} if further is None else self.further[further].names
        return next((cells[key].value for key in self._keys(method, ood, metric, names) if key in cells), None)

    def runs(self, method: str, ood: str, metric: str) -> int:
        """Of how many runs the published value is the mean; 1 where its file does not say so."""
        keys = self._keys(method, ood, metric, {})
        return next((self.published[key].runs for key in keys if key in self.published), 1)

    def _keys(self, method: str, ood: str, metric: str, names: Mapping[str, str]) -> list[tuple[str, str, str]]:
        """Where the file may hold a number: for the OOD set, or for none."""
        theirs = [names.get(name, self.theirs(name)) for name in (method, ood, metric)]
        return [(theirs[0], place, theirs[2]) for place in (theirs[1], *_ANY)]

    def flags(self, method: str, ood: str, metric: str) -> list[Flag]:
        """What is known against the published value of a cell."""
        if self._own is not None or not flags(self.csv):  # flags are of the shipped files
            return []
        for key in self._keys(method, ood, metric, {}):
            for table in [table for table, cells in reversed(self._by_table.items()) if key in cells]:
                names = (table, key[0], self.theirs(self.model), self.theirs(self.id), *key[1:])
                cell = dict(zip(PATTERNS, names, strict=True))
                return [flag for flag in flags(self.csv) if flag.concerns(cell)]
        return []

    @functools.cached_property
    def test_errors(self) -> dict[str, str]:
        """The classifier's published test error in percent, as printed, by the table that holds it."""
        return {table: self._cells(table)[_CLASSIFIER].value for table in self.classifier}

    @property
    def tables(self) -> list[str]:
        """Every table of the file that the block shows, the paper's first."""
        return [self.table, *self.also, *(one.table for one in self.further), *self.classifier]

    @property
    def means(self) -> dict[str, list[str]]:
        """The OOD sets over which a name in ``ood`` is the mean."""
        return ({AVERAGE: self.average_of} if AVERAGE in self.ood else {}) | self.groups

    @property
    def scored(self) -> list[str]:
        """The OOD sets whose records the block shows, one by one or in a mean."""
        members = [name for sets in self.means.values() for name in sets]
        return [*(name for name in self.ood if name not in self.means), *members]

    def concerns(self, record: Record) -> bool:
        """Whether the record is of this model, ID set and protocol."""
        return (record.model, record.id, record.protocol) == (self.model, self.id, self.protocol)

    def owns(self, record: Record) -> bool:
        """Whether the record is of networks that made the published numbers."""
        hashes = [network.weights_sha256 or "" for network in record.checkpoint.networks]
        return all(one.startswith(tuple(self.weights)) for one in hashes)

    def draws(self, ood: str) -> bool:
        """Whether the paper's code draws rows or pixels of an OOD set, or of one that a mean is taken over."""
        return not {ood, *self.means.get(ood, ())}.isdisjoint(self.drawn)

    def holds(self, record: Record) -> bool:
        """Whether the record is of one of this block's cells, or of a set that such a cell averages over."""
        return self.concerns(record) and record.method in self.methods and record.ood in self.scored


def load_blocks(conf: Path | None = None, own: Sequence[Path] = ()) -> list[Block]:
    """Every block in ``conf/paper``, sorted by name; a file may build on another one, as Hydra has it.

    Args:
        conf: another folder of configs than the shipped one.
        own: folders of configs that come after it, whose papers' published numbers lie beside them as CSV.

    Raises:
        ConfigError: if a file has no usable node ``paper``.
    """
    shipped = conf or conf_dir()
    states = [(path, path.stat()) for path in sorted(shipped.glob("*/*.yaml"))]
    blocks = _shipped(shipped, tuple((path, status.st_mtime_ns, status.st_size) for path, status in states))
    names, files = {block.name for block in blocks}, ConfigFiles((shipped, *own))
    papers = {path.stem: path for folder in reversed(own) for path in (folder / "paper").glob("*.yaml")}
    mine = [_block(path, files) for name, path in papers.items() if name not in names]
    return sorted([*blocks, *mine], key=lambda block: block.name)


@functools.lru_cache(maxsize=1)
def _shipped(folder: Path, _states: tuple[tuple[Path, int, int], ...]) -> tuple[Block, ...]:
    """The blocks as long as the files stay as they are; reading them takes a second, and each job of a sweep does."""
    files = ConfigFiles((folder,))
    return tuple(_block(path, files) for path in sorted((folder / "paper").glob("*.yaml")))


def _block(path: Path, files: ConfigFiles) -> Block:
    layers = layers_of(path, files)
    nodes = [layer.paper for layer in layers if isinstance(layer.get("paper"), DictConfig)]
    if not nodes:
        raise ConfigError(f"{path}: has no node `paper:` with the block's name, title, csv, table, ...")
    chosen, own = selected(layers, files), merged(*nodes)
    if AVERAGE in (own.get("ood") or []):
        chosen["average_of"] = chosen.get("ood", [])
    node = OmegaConf.to_container(OmegaConf.merge(chosen, own), resolve=False)
    try:
        block = Block.model_validate(node)
    except ValidationError as error:
        raise ConfigError(f"{path}: paper: {faults(error, Block.model_fields)}") from error
    if block.name != path.stem:
        raise ConfigError(f"{path}: paper.name is {block.name!r}; it must be {path.stem!r}, like the file")
    block._own = files.own(path)
    return block


def block_of(record: Record, blocks: Sequence[Block]) -> Block | None:
    """The first block that has a cell for the record, or none."""
    return next((block for block in blocks if block.holds(record)), None)
