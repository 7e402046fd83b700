"""How much a method's numbers change with another library's definition of its name, as measured once.

``definitions.csv`` beside this file is made by ``python -m ood_bench.methods --measured RESULTS``.
"""

import csv
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from io import StringIO
from pathlib import Path
from typing import Any

from ood_bench.errors import ArtifactError
from ood_bench.utils.files import clear_io_errors

FILE = Path(__file__).with_name("definitions.csv")


@dataclass(frozen=True)
class Measured:
    """One method on one network by the shipped definition and by another; AUROCs in percent, means over OOD sets.

    Attributes:
        method: config name.
        definition: the other one, as in ``openood``.
        settings: hyperparameters that differ beside it, as in ``k=100``; empty for none.
        model: the network.
        id: the ID test images.
        sets: number of OOD sets that both scored.
        shipped: mean AUROC by the shipped definition.
        other: mean AUROC by the other.
        difference: other less shipped.
        low: lower end of its 95 % interval by DeLong; none where scores were not at hand.
        high: upper end of it.
    """

    method: str
    definition: str
    settings: str
    model: str
    id: str
    sets: int
    shipped: float
    other: float
    difference: float
    low: float | None = None
    high: float | None = None

    @property
    def place(self) -> tuple[str, str, str, str, str]:
        """What sets it apart from others, and orders a file."""
        return self.method, self.definition, self.settings, self.model, self.id

    @property
    def label(self) -> str:
        """The other definition with its settings, in Markdown."""
        return f"{self.definition} (`{self.settings}`)" if self.settings else self.definition

    @property
    def points(self) -> str:
        """The difference in points, signed, with its interval if there is one."""
        ends = "" if self.low is None or self.high is None else f" [{_signed(self.low)}, {_signed(self.high)}]"
        return _signed(self.difference) + ends

    @property
    def words(self) -> str:
        """All of it in a sentence, in Markdown."""
        return (
            f"As {self.label}: {self.other:.2f} instead of {self.shipped:.2f} ({self.points} points), "
            f"mean AUROC over {self.sets} OOD sets, {self.model} on {self.id}"
        )


def _signed(value: float) -> str:
    """Two decimals with a sign; what rounds to 0 has none."""
    text = f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")
    return text if text.strip("+\N{MINUS SIGN}0.") else "0.00"


def as_csv(found: Iterable[Measured]) -> str:
    """CSV text, sorted, four decimals."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(item.name for item in fields(Measured))
    for one in sorted(found, key=lambda one: one.place):
        writer.writerow(f"{value:.4f}" if isinstance(value, float) else value for value in astuple(one))
    return text.getvalue()


def measured(path: Path = FILE) -> list[Measured]:
    """What :func:`as_csv` gave, in its order; nothing if there is no file.

    Raises:
        ArtifactError: if the file cannot be read or is not of that form.
    """
    if not path.exists():
        return []
    with clear_io_errors("read measured definitions", path):
        text = path.read_text(encoding="utf-8")
    try:
        return [_measured(**line) for line in csv.DictReader(text.splitlines())]
    except (KeyError, TypeError, ValueError) as error:
        remedy = "make it again: python -m ood_bench.methods --measured RESULTS"
        raise ArtifactError(f"{path}: no table of measured definitions ({error!r})", remedy) from error


def _measured(**line: str) -> Measured:
    texts: dict[str, Any] = {name: line.pop(name) for name in ("method", "definition", "settings", "model", "id")}
    numbers = {name: float(value) for name, value in line.items() if value}
    return Measured(**texts | numbers | {"sets": int(line["sets"])})
