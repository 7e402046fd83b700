"""What a cell leaves beside its record: details for the page, and scores for paired tests."""

from pathlib import Path
from typing import Literal

from ood_bench.errors import ArtifactError, RecordError
from ood_bench.protocols.base import Outcome
from ood_bench.results import Record
from ood_bench.results.details import DetailStore, details_of
from ood_bench.results.scores import Scores, ScoreStore, rows_of
from ood_bench.runner.cell import Cell

Details = Literal["new", "all", "none"]
_AGREES = 0.05
"""Points of AUROC by which another machine's rounding may move a cell that is scored again."""


class Extras:
    """Writes details and scores of cells as ``scoring.details`` asks.

    Args:
        results: the results folder.
        store: the artifact store.
        wanted: ``new`` with every new record, ``all`` also for records that lack them (their cells are scored again,
            from banks where those exist; records stay as they are), ``none`` never.
    """

    def __init__(self, results: Path, store: Path, wanted: Details) -> None:
        self._details, self._scores, self._wanted = DetailStore(results), ScoreStore(store / "scores"), wanted

    def lacks(self, cell: Cell) -> bool:
        """Whether a cell that has a record is to be scored again for its details or scores."""
        if self._wanted != "all":
            return False
        try:
            return self._details.read(cell.key) is None or self._scores.read(cell.key) is None
        except (RecordError, ArtifactError):  # they are written again
            return True

    def write(self, cell: Cell, outcome: Outcome, record: Record, earlier: Record | None) -> None:
        """Writes both, if they are wanted; ``earlier`` is the record that was there before ``record`` was computed.

        Raises:
            RecordError: if the scores are not those of the earlier record.
            ArtifactError: if a file cannot be written.
        """
        if self._wanted == "none":
            return
        now, before = record.exact["auroc"].value, (earlier or record).exact["auroc"].value
        if abs(now - before) > _AGREES:
            raise RecordError(
                f"{cell.title}: scored again it has an AUROC of {now:.2f}, its record says {before:.2f}: details and "
                "scores would be of another result. Run with scoring.details=new, or move the record away: "
                "ood-bench report --set-aside FILE"
            )
        rows = (
            rows_of(outcome.id_scores, outcome.id_rows, cell.test),
            rows_of(outcome.ood_scores, outcome.ood_rows, cell.ood),
        )
        scores = outcome.id_scores, outcome.ood_scores
        self._scores.write(cell.key, Scores(*scores, *rows))
        self._details.write(details_of(cell.key, scores, (cell.test, cell.ood), rows))
