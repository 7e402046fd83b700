"""What ``ood-bench explain`` wrote below a results folder: ladders of cells, and methods under all conventions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ood_bench.errors import ArtifactError
from ood_bench.utils.faults import faults
from ood_bench.utils.files import clear_io_errors

FOLDER = "explain"
"""Its name in a results folder."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Choice(_Part):
    """What a rung changes; see :class:`ood_bench.explain.ladder.Choice`."""

    name: str
    before: str
    after: str


class Rung(_Part):
    """A rung; see :class:`ood_bench.explain.ladder.Rung`."""

    choice: Choice
    value: float | None
    step: float | None
    mean: float | None
    low: float | None
    high: float | None


class Steps(_Part):
    """The numbers of a ladder; see :class:`ood_bench.explain.ladder.Ladder`."""

    start: float | None
    end: float | None
    rungs: tuple[Rung, ...]
    orders: int
    drawn: bool


class Missing(_Part):
    """A choice that could not be computed; see :class:`ood_bench.explain.explanation.Missing`."""

    name: str
    why: str
    images: int
    seconds: float | None


class Recorded(_Part):
    """A number of a record; see :class:`ood_bench.explain.explanation.Recorded`."""

    title: str
    value: float
    agrees: bool | None


class Unexplained(_Part):
    """What remains; see :class:`ood_bench.explain.explanation.Unexplained`."""

    printed: str
    difference: float
    std: float | None
    networks: int
    chance: float | None


class Explained(_Part):
    """The ladder of a cell; see :class:`ood_bench.explain.explanation.Explanation`."""

    cell_key: str
    title: str
    metric: str
    metric_there: str
    start: str
    end: str
    ladder: Steps
    missing: tuple[Missing, ...]
    recorded: tuple[Recorded, ...]
    unexplained: Unexplained | None


class Swap(_Part):
    """Two methods that may change places; see :class:`ood_bench.explain.multiverse.Swap`."""

    first: str
    second: str
    ahead: int
    behind: int
    level: int


class Multiverse(_Part):
    """Methods under all defensible conventions; see :class:`ood_bench.explain.multiverse.Multiverse`.

    Attributes:
        of: ``paper=NAME``, or the cell beside which the methods stand.
        title: what is shown, in words.
        cell_key: key of one of the cells.
        metric: the metric.
        values: each method's numbers in percent, one a convention.
        pairs: every two methods, those first that change places most often.
    """

    of: str
    title: str
    cell_key: str
    metric: str
    values: dict[str, tuple[float | None, ...]]
    pairs: tuple[Swap, ...]


@dataclass(frozen=True)
class Explanations:
    """All that was found.

    Attributes:
        ladders: by key of the cell's record.
        multiverses: in the order of the files' names.
    """

    ladders: dict[str, list[Explained]]
    multiverses: list[Multiverse]


NONE = Explanations({}, [])
"""Where nothing was explained."""
_FILE: TypeAdapter[Explained | Multiverse | list[Explained | Multiverse]] = TypeAdapter(
    Explained | Multiverse | list[Explained | Multiverse]
)


def read(folder: Path) -> Explanations:
    """The JSON files of a folder, each with one ladder or multiverse or a list of them.

    Args:
        folder: need not exist.

    Raises:
        ArtifactError: if a file cannot be read, or is not of that form.
    """
    found: list[Explained | Multiverse] = []
    for path in sorted(folder.glob("*.json")):
        with clear_io_errors("read what ood-bench explain wrote", path):
            content = path.read_bytes()
        try:
            one = _FILE.validate_json(content)
        except ValidationError as error:
            hint = "write it again with ood-bench explain, or delete it"
            raise ArtifactError(f"{path}: not a file of ood-bench explain: {faults(error, most=2)}", hint) from error
        found += one if isinstance(one, list) else [one]
    ladders: dict[str, list[Explained]] = {}
    for each in found:
        if isinstance(each, Explained):
            ladders.setdefault(each.cell_key, []).append(each)
    return Explanations(ladders, [each for each in found if isinstance(each, Multiverse)])


def ladders_of(keys: Sequence[str], found: Explanations) -> list[Explained]:
    """The ladders of some records, in order."""
    return [one for key in keys for one in found.ladders.get(key, ())]
