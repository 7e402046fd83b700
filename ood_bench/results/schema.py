"""The parts of a record: what was measured, on which network and data, chosen how, and where."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from ood_bench.data.imageset import titled

_ROUNDING = 1e-6
_ROLES = {"id_train": "ID training set", "id_test": "ID test set", "ood": "OOD set", "outliers": "outliers"}

Sha256 = Annotated[str, Meta(min_length=64, max_length=64, extra={"pattern": r"[0-9a-f]{64}"})]
"""A SHA-256 as 64 lower-case hex digits."""
Text = Annotated[str, Meta(min_length=1, extra={"pattern": r"(?s).*\S.*"})]
"""A text with at least one visible character."""
Percent = Annotated[float, Meta(ge=-_ROUNDING, le=100 + _ROUNDING)]
"""A finite number of percent; the slack is for rounding errors only."""
Count = Annotated[int, Meta(ge=0)]
"""A number of rows or epochs."""
Seconds = Annotated[float, Meta(ge=0)]
"""A duration in seconds."""
Settings = dict[str, Any]
"""Any JSON object without NaN."""


class Part(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Base of what files below ``results`` hold: no unknown key, no assignment.

    Fields are checked when a file is read, and by :func:`ood_bench.results.checked.checked`; not when an object is made
    by hand. Patterns stand in ``extra``: a store has millions of texts, and :class:`~ood_bench.results.record.Record`
    looks at all of one record together. ``gc=False``: none refers to itself, and a walk over so many takes long.
    """


class Metric(Part, frozen=True):
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


class Evaluation(Part, frozen=True):
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


class Tuning(Part, frozen=True):
    """What the selection of hyperparameters did.

    Attributes:
        seen: number of rows seen, by set name.
        candidates: the settings that were compared, in the order of comparison.
        objective: what was compared, in words.
        curve: one row of numbers (or nulls) a candidate, or whatever rows are worth a plot.
    """

    seen: dict[str, Count]
    candidates: list[Settings]
    objective: Text
    curve: list[list[float | None]]


class Network(Part, frozen=True):
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
    seed: int
    weights_sha256: Sha256 | None
    id_accuracy: Percent | None
    epochs: Count
    trained_seconds: Seconds

    @property
    def identity(self) -> str:
        """What equal networks have in common: the hash of the weights, or the key where those are not known."""
        return self.weights_sha256 or self.key


class Checkpoint(Part, frozen=True):
    """The classifier that was scored: one network or several.

    Attributes:
        key: content key of the classifier as a whole.
        sha256: hash over all of its weights, none where they are not known.
        networks: its networks, at least one.
    """

    key: Text
    sha256: Sha256 | None
    networks: Annotated[list[Network], Meta(min_length=1)]

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


class SetUsed(Part, frozen=True):
    """One image set that the cell used.

    Attributes:
        name: canonical name.
        variant: what the pixels are where they are not the official release (``"JPEG copy"``), else empty.
        fingerprint: SHA-256 over pixels and labels, none where only scores are known.
        n: number of images in the whole set.
    """

    name: Text
    variant: str
    fingerprint: Sha256 | None
    n: Count

    @property
    def title(self) -> str:
        """Name with the variant, as tables print it: ``"cifar10 (JPEG copy)"``."""
        return titled(self.name, self.variant)


class Data(Part, frozen=True):
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
        return [(_ROLES[role], used) for role in self.__struct_fields__ if (used := getattr(self, role)) is not None]

    @property
    def used(self) -> list[SetUsed]:
        """The sets of all roles, in order."""
        found = (self.id_train, self.id_test, self.ood, self.outliers)
        return [one for one in found if one is not None]


class FromScores(Part, frozen=True):
    """Says that a record is made from scores that somebody else computed: weights and pixels are not known.

    Attributes:
        files: SHA-256 of the files by name.
    """

    files: dict[str, Sha256]


class Environment(Part, frozen=True, omit_defaults=True):
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
        backend: what ran the passes behind the record, as in ``"openvino 2026.4.1"``, or in
            ``"openvino 2026.4.1, torch"`` where both ran some. Absent where torch alone did.
    """

    git_revision: Text
    git_dirty: bool
    python: Text
    platform: Text
    cpu: str
    device: Text
    packages: dict[str, str]
    threads: Annotated[int, Meta(ge=1)] | None = None
    blas: Text | None = None
    deterministic: bool | None = None
    backend: Text | None = None
