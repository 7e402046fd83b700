"""What a page draws of one cell beyond its numbers: binned scores, thinned curves, and the images at the ends.

Details lie beside the records, one compact JSON file a cell, named by the cell's key. They are an extra: a record
without them is whole, and they can be made again from the artifact store.
"""

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from ood_bench.errors import RecordError
from ood_bench.results.record import CellKey
from ood_bench.results.schema import Count, Part, Text
from ood_bench.utils.files import clear_io_errors, write_atomically

_log = logging.getLogger(__name__)
_Fraction = Annotated[float, Field(ge=0, le=1)]
_Counts = Annotated[list[Count], Field(min_length=1)]


class Histogram(Part):
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

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.low < self.high or len(self.id) != len(self.ood):
            raise ValueError("low must be below high, and id and ood must have equally many bins")
        return self


class Line(Part):
    """Points of a curve, as fractions.

    Attributes:
        x: false positive rate of a ROC curve, recall of a precision-recall curve.
        y: true positive rate, or precision.
    """

    x: list[_Fraction]
    y: list[_Fraction]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.x) != len(self.y):
            raise ValueError("x and y must have equally many points")
        return self


class Extreme(Part):
    """Images at one end of one set's scores, the outermost first.

    Attributes:
        side: whose images.
        end: ``"highest"`` or ``"lowest"`` scores.
        rows: row numbers in the whole set.
        scores: their scores.
    """

    side: Literal["id", "ood"]
    end: Literal["highest", "lowest"]
    rows: list[Count]
    scores: list[float | None]


class Sheet(Part):
    """Thumbnails in one picture: a line of tiles for each group, in the order of ``groups``.

    Attributes:
        kind: ``"png"`` or ``"jpeg"``.
        width: of a tile, pixels.
        height: of a tile, pixels.
        columns: tiles a line.
        groups: what the lines show.
        content: the picture in base64.
    """

    kind: Literal["png", "jpeg"]
    width: Count
    height: Count
    columns: Count
    groups: list[Extreme]
    content: Text


class Details(Part):
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

    schema_version: Literal[1] = Field(alias="schema", default=1)
    cell_key: CellKey
    histogram: Histogram
    roc: Line
    pr_in: Line
    pr_out: Line
    images: Sheet | None = None

    def to_json(self) -> str:
        """Compact JSON with sorted keys and a newline at the end; equal for equal details."""
        content = self.model_dump(mode="json", by_alias=True)
        return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False) + "\n"


class DetailStore:
    """Details below ``root/details``, one file a cell.

    Attributes:
        folder: that folder.
    """

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
        mend = "delete it, and make it again with scoring.details=all"
        try:
            details = Details.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "content"
            raise RecordError(f"{path}: not valid details ({place}: {first['msg']}): {mend}") from error
        if details.cell_key != cell_key:
            raise RecordError(f"{path}: holds the details of cell {details.cell_key}: {mend}")
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
