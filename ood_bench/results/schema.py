"""The parts of a record: what was measured, on which network and data, chosen how, and where."""

from dataclasses import fields
from math import isfinite
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    StrictInt,
    StrictStr,
    StringConstraints,
    model_serializer,
)
from pydantic.dataclasses import dataclass

from ood_bench.data.imageset import titled

_ROUNDING = 1e-6
_SMALL = ConfigDict(extra="forbid", allow_inf_nan=False)  # strict in its fields: as a whole it takes mappings, too
_ROLES = {"id_train": "ID training set", "id_test": "ID test set", "ood": "OOD set", "outliers": "outliers"}
_J = TypeVar("_J", dict[str, JsonValue], list[dict[str, JsonValue]])


def _without_nan(value: _J) -> _J:
    """Refuses NaN and infinities anywhere inside ``value``, for JSON has no word for them."""
    if not _finite(value):
        raise ValueError("holds NaN or an infinity; write null or leave the key out")
    return value


def _finite(value: dict[str, JsonValue] | list[JsonValue] | list[dict[str, JsonValue]]) -> bool:
    for one in value.values() if isinstance(value, dict) else value:
        if isinstance(one, float):
            if not isfinite(one):
                return False
        elif isinstance(one, (dict, list)) and not _finite(one):
            return False
    return True


Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", strict=True)]
"""A SHA-256 as 64 lower-case hex digits."""
Text = Annotated[str, StringConstraints(pattern=r"\S", strict=True)]
"""A text with at least one visible character."""
Percent = Annotated[float, Field(ge=-_ROUNDING, le=100 + _ROUNDING, strict=True)]
"""A finite number of percent; the slack is for rounding errors only."""
Count = Annotated[int, Field(ge=0, strict=True)]
"""A number of rows or epochs."""
Seconds = Annotated[float, Field(ge=0, strict=True)]
"""A duration in seconds."""
Settings = Annotated[dict[str, JsonValue], AfterValidator(_without_nan)]
"""Any JSON object without NaN."""
Candidates = Annotated[list[dict[str, JsonValue]], AfterValidator(_without_nan)]
"""A list of such objects, checked in one go because sweeps make it long."""


class Part(BaseModel):
    """Base of models: strict types, finite numbers, no unknown key, no assignment.

    The parts of a record are dataclasses with slots instead: a store has many, and they take half of the memory.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True, config=_SMALL)
class Metric:
    """One metric in percent.

    Attributes:
        value: the point estimate.
        low: lower end of the 95 % bootstrap interval, or none.
        high: upper end of it, or none.
    """

    value: Percent
    low: Percent | None = None
    high: Percent | None = None

    def __post_init__(self) -> None:
        if (self.low is None) != (self.high is None):
            raise ValueError("low and high must both be numbers or both be null")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")


@dataclass(frozen=True, slots=True, config=_SMALL)
class Evaluation:
    """How the metrics were computed.

    Attributes:
        convention: name of the metric convention (``"fssd"``, ``"exact"``).
        positive: the class that counts as positive.
        unit: always percent.
        description: the convention in words, for the footnotes of a table.
        rows: which rows are scored, in words.
        tuned_on: which data the selection of hyperparameters saw, in words; ``"nothing"`` where it saw none.
    """

    convention: Text
    positive: Literal["id", "ood"]
    unit: Literal["percent"]
    description: Text
    rows: Text
    tuned_on: Text


@dataclass(frozen=True, slots=True, config=_SMALL)
class Tuning:
    """What the selection of hyperparameters did.

    Attributes:
        seen: number of rows seen, by set name.
        candidates: the settings that were compared, in the order of comparison.
        objective: what was compared, in words.
        curve: one row of numbers (or nulls) a candidate, or whatever rows are worth a plot.
    """

    seen: dict[str, Count]
    candidates: Candidates
    objective: Text
    curve: list[list[Annotated[float, Field(strict=True)] | None]]


@dataclass(frozen=True, slots=True, config=_SMALL)
class Network:
    """One trained network; an ensemble has several.

    Attributes:
        key: content key of the trained artifact; of a network known by its scores alone, what tells it from others.
        model: name of the architecture.
        recipe: name of the training recipe.
        seed: training seed.
        weights_sha256: hash over the weights, none where they are not known.
        id_accuracy: accuracy on the ID test set, percent, none where it is not known.
        epochs: epochs trained.
        trained_seconds: time that training took.
    """

    key: Text
    model: Text
    recipe: Text
    seed: StrictInt
    weights_sha256: Sha256 | None
    id_accuracy: Percent | None
    epochs: Count
    trained_seconds: Seconds

    @property
    def identity(self) -> str:
        """What equal networks have in common: the hash of the weights, or the key where those are not known."""
        return self.weights_sha256 or self.key


@dataclass(frozen=True, slots=True, config=_SMALL)
class Checkpoint:
    """The classifier that was scored: one network or several.

    Attributes:
        key: content key of the classifier as a whole.
        sha256: hash over all of its weights, none where they are not known.
        networks: its networks, at least one.
    """

    key: Text
    sha256: Sha256 | None
    networks: Annotated[list[Network], Field(min_length=1)]

    @property
    def identity(self) -> str:
        """What equal classifiers have in common: the hash of the weights, or the key where those are not known."""
        return self.sha256 or self.key

    @property
    def id_accuracy(self) -> float | None:
        """Mean accuracy of the networks, none where one is not known."""
        found = [network.id_accuracy for network in self.networks]
        known = [value for value in found if value is not None]
        return sum(known) / len(known) if len(known) == len(found) else None


@dataclass(frozen=True, slots=True, config=_SMALL)
class SetUsed:
    """One image set that the cell used.

    Attributes:
        name: canonical name.
        variant: what the pixels are where they are not the official release (``"JPEG copy"``), else empty.
        fingerprint: SHA-256 over pixels and labels, none where only scores are known.
        n: number of images in the whole set.
    """

    name: Text
    variant: StrictStr
    fingerprint: Sha256 | None
    n: Count

    @property
    def title(self) -> str:
        """Name with the variant, as tables print it: ``"cifar10 (JPEG copy)"``."""
        return titled(self.name, self.variant)


@dataclass(frozen=True, slots=True, config=_SMALL)
class Data:
    """The image sets by role; ``outliers`` is for methods that train on an outlier set.

    The training set is none where only scores are known.
    """

    id_train: SetUsed | None
    id_test: SetUsed
    ood: SetUsed
    outliers: SetUsed | None = None

    @property
    def by_role(self) -> list[tuple[str, SetUsed]]:
        """The role in words and the set, in order."""
        return [(_ROLES[one.name], used) for one in fields(self) if (used := getattr(self, one.name)) is not None]

    @property
    def used(self) -> list[SetUsed]:
        """The sets of all roles, in order."""
        return [one for _, one in self.by_role]


@dataclass(frozen=True, slots=True, config=_SMALL)
class FromScores:
    """Says that a record is made from scores that somebody else computed: weights and pixels are not known.

    Attributes:
        files: SHA-256 of the files by name.
    """

    files: dict[str, Sha256]


@dataclass(frozen=True, slots=True, config=_SMALL)
class Environment:
    """Where and with what the record was made.

    Attributes:
        git_revision: revision of the code, or ``"unknown"`` outside a repository.
        git_dirty: whether the work tree differed from that revision.
        python: version of Python.
        platform: operating system, in words.
        cpu: name of the processor.
        device: name of the device that scored.
        packages: version by package name.
        threads: number of threads that torch computed with on the processor: another number rounds, and so trains,
            differently. Absent from records of version 0.1.
        blas: torch's library of linear algebra and the instructions that it was built to use here, as in
            ``"mkl, AVX2"``. Absent from records of version 0.1, like the next.
        deterministic: whether torch was told to take deterministic algorithms only.
        backend: what ran the forward-only passes behind the record, as in ``"openvino 2026.4.1"``, or in
            ``"openvino 2026.4.1, torch"`` where both ran some. Absent where torch alone did.
    """

    git_revision: Text
    git_dirty: Annotated[bool, Field(strict=True)]
    python: Text
    platform: Text
    cpu: str
    device: Text
    packages: dict[str, str]
    threads: Annotated[int, Field(ge=1)] | None = None
    blas: Text | None = None
    deterministic: Annotated[bool, Field(strict=True)] | None = None
    backend: Text | None = None

    @model_serializer(mode="wrap")
    def _absent_if_unknown(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in whole(self).items() if value is not None}
