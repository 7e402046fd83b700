"""How a run ends: its records, and the cells that could not be computed while the others went on."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from ood_bench.errors import OodBenchError, reason
from ood_bench.results import Record
from ood_bench.runner.cell import Cell
from ood_bench.utils.time_limit import OutOfTime

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """What a run gives back.

    Attributes:
        records: the records of all cells, old and new, in the order of the configuration.
        paths: their files.
        new: how many of them this run computed.
    """

    records: list[Record]
    paths: list[str]
    new: int


class CellsFailedError(OodBenchError):
    """Some cells of a run failed while others have their records.

    Attributes:
        finished: the records that exist nevertheless.
    """

    def __init__(self, message: str, finished: Finished) -> None:
        super().__init__(message)
        self.finished = finished


class Failures:
    """Collects the failed cells of one run, each with its first error."""

    def __init__(self) -> None:
        self._errors: dict[str, tuple[Cell, Exception]] = {}

    @contextlib.contextmanager
    def catching(self, cells: Sequence[Cell]) -> Iterator[None]:
        """An error in the block fails these cells, and no others."""
        try:
            yield
        except OutOfTime:
            raise
        except Exception as caught:  # one cell's bug or memory must not cost the others
            error = _full() if isinstance(caught, torch.OutOfMemoryError) else caught
            expected = isinstance(error, OodBenchError)
            titles = ", ".join(cell.title for cell in cells)
            _log.error("failed: %s: %s", titles, error, exc_info=not expected)
            for cell in cells:
                self._errors.setdefault(cell.address, (cell, error))

    def among(self, cells: Sequence[Cell]) -> list[Cell]:
        """Those of the cells that have not failed."""
        return [cell for cell in cells if cell.address not in self._errors]

    def settle(self, finished: Finished) -> Finished:
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
        total = len(self._errors.keys() | {record.address for record in finished.records})
        hint = "the same command computes what is missing, and nothing else"
        raise CellsFailedError(f"{len(self._errors)} of {total} cells failed:{reasons}\n{hint}", finished)


def _full() -> OodBenchError:
    return OodBenchError(
        "the device's memory is full",
        "take fewer images at once (scoring.batch_size=100, or a smaller recipe.batch_size where it was training that "
        "failed), or run fewer programs on the device",
    )
