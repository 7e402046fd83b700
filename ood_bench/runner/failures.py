"""Cells that could not be computed: they are remembered, and the others go on."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ood_bench.errors import OodBenchError, reason
from ood_bench.runner.cell import Cell
from ood_bench.utils.time_limit import OutOfTime

if TYPE_CHECKING:
    from ood_bench.runner.execute import Finished

_log = logging.getLogger(__name__)


class CellsFailedError(OodBenchError):
    """Some cells of a run failed while others have their records.

    Attributes:
        finished: what the run has to show nevertheless.
    """

    def __init__(self, message: str, finished: "Finished") -> None:
        super().__init__(message)
        self.finished = finished


class Failures:
    """Collects the failed cells of one run."""

    def __init__(self) -> None:
        self._errors: dict[str, tuple[Cell, Exception]] = {}

    @contextlib.contextmanager
    def catching(self, cells: Sequence[Cell]) -> Iterator[None]:
        """Whatever goes wrong in the block is the end of these cells only."""
        try:
            yield
        except OutOfTime:
            raise
        except Exception as error:  # one cell's bug or memory must not cost the others
            expected = isinstance(error, OodBenchError)
            titles = ", ".join(cell.title for cell in cells)
            _log.error("failed: %s: %s", titles, error, exc_info=not expected)
            self._errors |= {cell.key: (cell, error) for cell in cells}

    def among(self, cells: Sequence[Cell]) -> list[Cell]:
        """Those of the cells that have not failed."""
        return [cell for cell in cells if cell.key not in self._errors]

    def settle(self, finished: "Finished") -> "Finished":
        """Gives ``finished`` back if nothing failed.

        Raises:
            Exception: the first failure as it was, if no cell has a record.
            CellsFailedError: if some cells have.
        """
        if not self._errors:
            return finished
        if not finished.records:
            raise next(error for _, error in self._errors.values())
        reasons = "".join(f"\n  - {cell.title}: {reason(error)}" for cell, error in self._errors.values())
        total = len(self._errors.keys() | {record.cell_key for record in finished.records})
        mend = "the same command computes what is missing, and nothing else"
        raise CellsFailedError(f"{len(self._errors)} of {total} cells failed:{reasons}\n{mend}", finished)
