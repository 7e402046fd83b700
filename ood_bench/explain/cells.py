"""What is kept of a recorded cell: scores of a file, and scores again from banks, at other rows and settings."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ood_bench.data.imageset import Array, Rows
from ood_bench.errors import ConfigError, OodBenchError
from ood_bench.explain.rebuilt import Rebuilt, detector_of, rebuilt
from ood_bench.methods.base import Detector, Setting
from ood_bench.methods.msp import Msp
from ood_bench.protocols.base import Protocol
from ood_bench.results import Record
from ood_bench.results.scores import ScoreStore
from ood_bench.scoring.kept import NotKeptError

Pair = tuple[Array, Array]
"""ID scores and OOD scores, float64."""
RowPair = tuple[Rows, Rows]
"""Row numbers in the whole ID test set and the whole OOD set, int64."""
EXACT, PAPER = "float64", "float32"
_AGREES = 1e-9


class Known(NamedTuple):
    """Scores of some rows of both sets; each row number at most once."""

    scores: Pair
    rows: RowPair

    def at(self, wanted: RowPair) -> Pair:
        """The scores of those rows.

        Raises:
            NotKeptError: if one is not known.
        """
        found = []
        for scores, rows, want in zip(self.scores, self.rows, wanted, strict=True):
            place = np.full(1 + max(int(rows.max()), int(want.max())), -1)
            place[rows] = np.arange(len(rows))
            if lacking := int((place[want] < 0).sum()):
                raise NotKeptError(f"scores of {lacking:,} of these rows were not kept", lacking)
            found.append(scores[place[want]])
        return found[0], found[1]


class KeptCell:
    """A recorded cell with its score file and the banks of its networks, either of which may be missing.

    Args:
        record: the cell's record.
        store: the artifact store.
        train_rows: fit the method on that many ID training images, the first; none for all, as the record has it.
        own: folders of configs beside the shipped one, for the method.

    Raises:
        NotKeptError: if there is neither.
    """

    def __init__(self, record: Record, store: Path, train_rows: int | None = None, own: Sequence[Path] = ()) -> None:
        self.record, self.store, self.train_rows, self.own = record, store, train_rows, own
        self.banks = rebuilt(record, store, train_rows, own)
        self._fitted_on = {train_rows: self}
        kept = None if train_rows else ScoreStore(store / "scores").read(record.cell_key)
        self.file: Known | None = None
        if kept is not None and kept.id_rows is not None and kept.ood_rows is not None:
            self.file = Known((kept.id, kept.ood), (kept.id_rows, kept.ood_rows))
        self._known: dict[tuple[str, str], Known] = {}
        if self.file is None and isinstance(self.banks, NotKeptError):
            raise NotKeptError(
                f"{self.title}: {store} has neither the cell's scores nor banks ({self.banks.message})",
                hint="score it again with scoring.details=all and this store.root, or name another by --store",
            )

    def fitted_on(self, train_rows: int | None) -> "KeptCell":
        """The same cell, its method fitted on other training images.

        Raises:
            ConfigError: if there are not as many, or fewer than one.
            NotKeptError: if there are no banks.
        """
        images = self.record.data.id_train
        if train_rows is not None and images is not None and not 0 < train_rows < images.n:
            raise ConfigError(f"train_rows={train_rows}: {images.title} has {images.n:,}", "name fewer, at least one")
        if train_rows not in self._fitted_on:
            self._fitted_on[train_rows] = KeptCell(self.record, self.store, train_rows, self.own)
        return self._fitted_on[train_rows]

    @property
    def title(self) -> str:
        """The cell in a few words."""
        record = self.record
        method = f"{record.method} {record.variant}".rstrip()
        return f"{method} on {record.data.ood.name}, {record.model} on {record.data.id_test.name}, seed {record.seed}"

    @property
    def detector(self) -> Detector:
        """The method; another stands for one that is not known, which only protocols ask, for rows."""
        if isinstance(self.banks, Rebuilt):
            return self.banks.detector
        try:
            return detector_of(self.record, self.own)
        except OodBenchError:
            return Msp()

    @property
    def setting(self) -> Setting:
        """The setting that the record was scored with; empty where it is not known."""
        if isinstance(self.banks, Rebuilt):
            return self.banks.setting
        return {name: value for name, value in self.record.hyperparameters.items() if isinstance(value, (int, float))}

    def precision(self, protocol: Protocol) -> str:
        """What a protocol ranks of this cell: its exact scores, or those of papers' code where they are others."""
        ours = self.record.from_scores is None
        return PAPER if ours and protocol.ranks_paper_scores and self.detector.paper_revision > 0 else EXACT

    def known(self, setting: Setting | None, precision: str) -> Known:
        """Scores of all rows from banks, else those of the score file.

        Args:
            setting: the detector's, none for the record's own.
            precision: :data:`EXACT` or :data:`PAPER`.

        Raises:
            NotKeptError: if they were not kept.
        """
        key = (json.dumps(setting, sort_keys=True), precision)
        if key not in self._known:
            self._known[key] = self._find(setting, precision)
        return self._known[key]

    def _find(self, setting: Setting | None, precision: str) -> Known:
        if isinstance(self.banks, NotKeptError):
            if setting is None and precision == EXACT and self.file is not None:
                return self.file
            what = "float32 probabilities, which logits give" if precision == PAPER else f"scores at {_words(setting)}"
            raise NotKeptError(f"{what}: {self.banks.what}", self.record.data.id_test.n + self.record.data.ood.n)
        wanted = self.banks.setting if setting is None else setting
        try:
            scores = self.banks.scores(wanted, paper=precision == PAPER)
        except NotKeptError:
            if setting is not None or self.file is None:
                raise
            if precision == EXACT:
                return self.file
            return Known(self.banks.scores(wanted, self.file.rows, paper=True), self.file.rows)
        everything = Known(scores, (np.arange(len(scores[0])), np.arange(len(scores[1]))))
        if setting is None and precision == EXACT and self.file is not None:
            again = everything.at(self.file.rows)
            if any(np.abs(a - b).max() > _AGREES for a, b in zip(again, self.file.scores, strict=True)):
                return self.file  # other code or hyperparameters: banks do not give the record's scores
        return everything


def _words(setting: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{name}={value}" for name, value in (setting or {}).items()) or "the record's setting"
