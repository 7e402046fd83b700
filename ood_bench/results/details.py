"""What a page draws of one cell beyond its numbers: binned scores, thinned curves, and the images at the ends.

Details lie beside the records, one compact JSON file a cell, named by the cell's key. They are an extra: a record
without them is whole, and they can be made again from the artifact store.
"""

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np

from ood_bench.data.imageset import Array, ImageSet, Rows
from ood_bench.errors import RecordError
from ood_bench.metrics.curve import Curve
from ood_bench.results.checked import checked
from ood_bench.results.record import CellKey
from ood_bench.results.schema import Count, Part
from ood_bench.results.thumbnails import Thumbnails, thumbnails
from ood_bench.utils.digests import with_seal, without_seal
from ood_bench.utils.files import clear_io_errors, write_atomically

BINS = 64
POINTS = 100
_TAIL = 0.1
_PLACES = 4
_log = logging.getLogger(__name__)
_Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Counts = Annotated[list[Count], msgspec.Meta(min_length=1)]


class Histogram(Part, frozen=True):
    """Scores in equal bins from ``low`` to ``high``; what lies beyond is counted in the outermost bins.

    Attributes:
        low: lower end of the first bin.
        high: upper end of the last bin.
        id: number of ID rows in each bin.
        ood: number of OOD rows in each bin.
    """

    low: float
    high: float
    id: _Counts
    ood: _Counts

    def __post_init__(self) -> None:
        if not self.low < self.high or len(self.id) != len(self.ood):
            raise ValueError("low must be below high, and id and ood must have equally many bins")


class Line(Part, frozen=True):
    """Points of a curve, as fractions.

    Attributes:
        x: false positive rate of a ROC curve, recall of a precision-recall curve.
        y: true positive rate, or precision.
    """

    x: list[_Fraction]
    y: list[_Fraction]

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise ValueError("x and y must have equally many points")


class Details(Part, frozen=True, kw_only=True):
    """Everything that is drawn of one cell.

    Attributes:
        schema_version: version of this schema, ``schema`` in JSON.
        cell_key: key of the cell, as in its record.
        histogram: binned scores.
        roc: ROC curve, ID positive.
        pr_in: precision over recall, ID positive.
        pr_out: precision over recall, OOD positive.
        images: thumbnails, or none where the protocol does not say which rows were scored.
    """

    schema_version: Literal[1] = msgspec.field(name="schema", default=1)
    cell_key: CellKey
    histogram: Histogram
    roc: Line
    pr_in: Line
    pr_out: Line
    images: Thumbnails | None = None

    def to_json(self) -> str:
        """Compact JSON with its seal, sorted keys and a newline at the end; equal for equal details."""
        content = msgspec.to_builtins(self)
        return json.dumps(with_seal(content), sort_keys=True, separators=(",", ":"), allow_nan=False) + "\n"


def details_of(
    cell_key: str,
    scores: tuple[Array, Array],
    sets: tuple[ImageSet, ImageSet] | None,
    rows: tuple[Rows | None, Rows | None],
) -> Details:
    """Everything that a page draws of a cell.

    Args:
        cell_key: the cell's key.
        scores: float64 ``[n_id]`` and ``[n_ood]``, higher means more in-distribution.
        sets: the whole ID test set and the whole OOD set, or none where images are not known.
        rows: int64 row numbers in those sets, one for each score; no thumbnails are made where either is none.

    Raises:
        MetricError: if the scores cannot be ranked.
    """
    curve = Curve.of(*scores)
    id_rows, ood_rows = rows
    images = None
    if sets is not None and id_rows is not None and ood_rows is not None:
        images = thumbnails(scores, sets, (id_rows, ood_rows))
    return Details(
        cell_key=cell_key,
        histogram=histogram(*scores),
        roc=roc(curve),
        pr_in=precision_recall(curve),
        pr_out=precision_recall(curve.flipped()),
        images=images,
    )


def histogram(id_scores: Array, ood_scores: Array) -> Histogram:
    """Both sides in 64 bins between the pooled 0.1 and 99.9 percentiles, so that no outlier flattens the rest."""
    quarters = [side / 4 for side in (id_scores, ood_scores)]  # the difference of the largest two numbers is infinite
    pooled = np.concatenate(quarters)
    finite = pooled[np.isfinite(pooled)]
    low, high = np.percentile(finite, (_TAIL, 100 - _TAIL)) if finite.size else (0.0, 0.25)
    if not low < high:
        room = max(0.125, abs(low) * 1e-9)
        low, high = low - room, high + room
    counts = [_binned(side, float(low), float(high)) for side in quarters]
    return Histogram(low=4 * float(low), high=4 * float(high), id=counts[0], ood=counts[1])


def _binned(scores: Array, low: float, high: float) -> list[int]:
    """Rows in each bin; rounding may put a score at an edge into either neighbour, which no picture shows."""
    place = (np.clip(scores, low, high) - low) / (high - low) * BINS
    return np.bincount(np.minimum(place.astype(np.int64), BINS - 1), minlength=BINS).tolist()


def roc(curve: Curve) -> Line:
    """About 100 points of the ROC curve, evenly spaced along it; every one lies on the exact curve."""
    fpr = np.concatenate(([0], curve.fp)) / curve.n_ood
    tpr = np.concatenate(([0], curve.tp)) / curve.n_id
    return _thinned(fpr, tpr, (fpr + tpr) / 2)


def precision_recall(curve: Curve) -> Line:
    """About 100 points of precision over recall, evenly spaced in recall."""
    start = int(np.searchsorted(curve.tp, 1))
    recall = curve.tp[start:] / curve.n_id
    precision = curve.tp[start:] / (curve.tp[start:] + curve.fp[start:])
    return _thinned(recall, precision, recall)


def _thinned(x: Array, y: Array, along: Array) -> Line:
    """Points at even steps of ``along``, which grows from the first to the last."""
    wanted = np.searchsorted(along, np.linspace(along[0], along[-1], POINTS))
    index = np.unique(np.append(wanted, len(along) - 1))
    return Line(x=np.round(x[index], _PLACES).tolist(), y=np.round(y[index], _PLACES).tolist())


class DetailStore:
    """Details below ``root/details``, one file a cell."""

    def __init__(self, root: Path) -> None:
        self.folder = Path(root) / "details"

    def path(self, cell_key: str) -> Path:
        """Where the details of a cell lie."""
        return self.folder / f"{cell_key}.json"

    def write(self, details: Details) -> Path:
        """Writes details, in place of older ones of the same cell.

        Raises:
            ArtifactError: if the disk is full or the folder may not be written.
        """
        path = self.path(details.cell_key)
        write_atomically(path, details.to_json().encode())
        return path

    def read(self, cell_key: str) -> Details | None:
        """The details of a cell, or none if there are none.

        Raises:
            RecordError: if the file is damaged or of another cell.
            ArtifactError: if it cannot be read.
        """
        path = self.path(cell_key)
        if not path.exists():
            return None
        with clear_io_errors("read details", path):
            content = path.read_bytes()
        hint = "delete it, and make it again with scoring.details=all"
        try:
            details = checked(without_seal(json.loads(content)), Details)
        except ValueError as error:
            raise RecordError(f"{path}: not valid details ({error})", hint) from error
        if details.cell_key != cell_key:
            raise RecordError(f"{path}: holds the details of cell {details.cell_key}", hint)
        return details

    def load(self, cell_keys: Iterable[str]) -> tuple[dict[str, Details], list[str]]:
        """Details of those cells that have usable ones, and what is wrong with the others, a line each."""
        found: dict[str, Details] = {}
        problems = []
        for key in cell_keys:
            try:
                details = self.read(key)
            except RecordError as error:
                problems.append(str(error))
                _log.warning("left out: %s", error)
            else:
                found |= {} if details is None else {key: details}
        return found, problems
