"""One record: one method on one OOD set with one seed, and everything needed to trust its numbers."""

import datetime
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, Self

import msgspec

from ood_bench.errors import RecordError
from ood_bench.results.checked import ContentError, checked, decoded
from ood_bench.results.schema import (
    Checkpoint,
    Count,
    Data,
    Environment,
    Evaluation,
    FromScores,
    Metric,
    Part,
    Seconds,
    Settings,
    Text,
    Tuning,
)

SCHEMA = 1
_SEAL = b'\n  "seal": "'
_SEALED = re.compile(rb'\n  "seal": "([0-9a-f]{64})",(?=\n)')
_AFTER_SEAL = '\n  "seconds": '
_SHOWN = 4
_UTC = datetime.timedelta(0)
_CIRCUMSTANCES = ("created", "seconds", "environment")

_IN_NAMES = re.compile(r"[A-Za-z0-9_.+@=-]+")
_IN_DIGESTS = re.compile(r"[0-9a-f]+")

Name = Annotated[str, msgspec.Meta(min_length=1, extra={"pattern": r"[A-Za-z0-9][A-Za-z0-9_.+@=-]*"})]
"""A config name, which is also a folder's name in the store."""
CellKey = Annotated[str, msgspec.Meta(min_length=16, max_length=16, extra={"pattern": r"[0-9a-f]{16}"})]
"""The content key of everything that determines the cell."""


def _refuse(error: ContentError, where: str | Path) -> NoReturn:
    """Raises a :class:`RecordError` with the first faults."""
    outdated = any(place == "schema" for place, _ in error.found)
    hint = "a record of another schema needs the version of ood-bench that wrote it" if outdated else ""
    raise RecordError(f"{where}: not a valid record: {error.text(_SHOWN)}", hint) from error


class Record(Part, frozen=True, kw_only=True, omit_defaults=True):
    """One evaluated cell with one seed, as one JSON file holds it. Make one with :meth:`of`.

    Attributes:
        schema_version: version of this schema, ``schema`` in JSON.
        cell_key: the key of everything that determines the cell, 16 hex digits.
        method: method name.
        variant: empty for the plain method; otherwise tables show the record in a row of its own.
        model: model name.
        id: name of the ID set.
        ood: name of the OOD set.
        seed: seed of the run.
        protocol: name of the protocol.
        evaluation: how the metrics were computed.
        metrics: metrics by name in the paper's convention, percent.
        exact: exact metrics by name, percent.
        selective: metrics of classifying and rejecting together, and of a threshold that is set on other rows, by name,
            percent; those of :data:`ood_bench.metrics.SELECTIVE` that are known. Absent from records of version 0.1.
        n_id: number of ID rows that the metrics are computed from.
        n_ood: number of OOD rows that they are computed from.
        hyperparameters: the values that the method ran with.
        tuning: how they were chosen, or none where nothing was tuned.
        checkpoint: the classifier.
        data: the image sets.
        deviations: every known difference from the paper's protocol, a sentence each.
        notes: other remarks for the table's footnotes, a sentence each.
        environment: code revision, versions and device.
        from_scores: the files, where only scores were at hand; none, and absent from JSON, for what was scored here.
        seconds: time that the cell took, without training.
        created: ISO 8601 time in UTC.
    """

    schema_version: Literal[1] = msgspec.field(name="schema")
    cell_key: CellKey
    method: Name
    variant: str
    model: Name
    id: Name
    ood: Name
    seed: int
    protocol: Name
    evaluation: Evaluation
    metrics: dict[Name, Metric]
    exact: dict[Name, Metric]
    selective: dict[Name, Metric] = msgspec.field(default_factory=dict)
    n_id: Count
    n_ood: Count
    hyperparameters: Settings
    tuning: Tuning | None
    checkpoint: Checkpoint
    data: Data
    deviations: list[Text]
    notes: list[Text]
    environment: Environment
    from_scores: FromScores | None = None
    seconds: Seconds
    created: str

    def __post_init__(self) -> None:
        self._check_patterns()
        try:
            moment = datetime.datetime.fromisoformat(self.created)
        except ValueError as error:
            raise ValueError("created: must be an ISO 8601 time such as 2025-01-31T12:00:00+00:00") from error
        if moment.utcoffset() != _UTC:
            raise ValueError("created: must be a time in UTC, ending in +00:00 or Z")

    def _check_patterns(self) -> None:
        """Raises unless names, digests and texts match their patterns: a look at all of each kind together."""
        names = (
            self.method, self.model, self.id, self.ood, self.protocol, *self.metrics, *self.exact, *self.selective,
        )  # fmt: skip
        digests = [self.cell_key, *(self.from_scores.files.values() if self.from_scores else ())]
        weights = (network.weights_sha256 for network in self.checkpoint.networks)
        pixels = (used.fingerprint for used in self.data.used)
        digests += [one for one in (self.checkpoint.sha256, *weights, *pixels) if one is not None]
        if not (
            _IN_NAMES.fullmatch("".join(names))
            and "".join([name[0] for name in names]).isalnum()
            and _IN_DIGESTS.fullmatch("".join(digests))
            and all(map(str.strip, self._texts()))
        ):
            raise ValueError("a name, a digest or a text is not one")

    def _texts(self) -> list[str]:
        """What must have a visible character, but for names and digests."""
        rules, made, checkpoint = self.evaluation, self.environment, self.checkpoint
        texts = [rules.convention, rules.description, rules.rows, rules.tuned_on, checkpoint.key]
        texts += [made.git_revision, made.python, made.platform, made.device, *self.deviations, *self.notes]
        texts += [text for one in checkpoint.networks for text in (one.key, one.model, one.recipe)]
        texts += [used.name for used in self.data.used]
        texts += [text for text in (made.blas, made.backend) if text is not None]
        return texts if self.tuning is None else [*texts, self.tuning.objective]

    @property
    def address(self) -> str:
        """What no two records share: the cell's key and the names of its sets; see :func:`address`."""
        return address(self.id, self.ood, self.cell_key)

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """Makes a record from JSON keys and values; parts may be mappings or the classes of ``schema``.

        Args:
            fields: every top-level key except ``schema``, which is filled in.

        Raises:
            RecordError: if a key is missing, unknown or of a wrong type, or a number is not finite.
        """
        try:
            return checked({"schema": SCHEMA, **fields}, cls)
        except ContentError as error:
            _refuse(error, "new record")

    @classmethod
    def from_json(cls, text: str | bytes, where: str | Path) -> Self:
        """Reads a record from its JSON text; ``where`` is the file that it comes from, named in errors.

        Raises:
            RecordError: if the text is not JSON, does not follow the schema, or is not what its seal was put on.
        """
        try:
            return decoded(unsealed(text, where), cls)
        except ContentError as error:
            _refuse(error, where)

    def to_json(self) -> str:
        """The record as JSON: sorted keys, two spaces of indent, a newline at the end; equal for equal records.

        Raises:
            ValueError: if a number became NaN or infinite after validation.
        """
        return json.dumps(self.content(), sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def content(self) -> dict[str, Any]:
        """The record as mappings, lists and plain values, without ends of intervals that ``selective`` has not."""
        content: dict[str, Any] = msgspec.to_builtins(self)
        for metric in content.get("selective", {}).values():
            if metric["low"] is None:
                del metric["low"], metric["high"]
        return content

    def substance(self) -> dict[str, Any]:
        """The JSON content without the circumstances that may differ between equal runs: times and machine."""
        content = {key: value for key, value in self.content().items() if key not in _CIRCUMSTANCES}
        for network in content["checkpoint"]["networks"]:
            del network["trained_seconds"]
        return content


def address(id_name: str, ood_name: str, cell_key: str) -> str:
    """Names one record: the key alone is that of the images, which may be known under several names."""
    return f"{id_name}/{ood_name}/{cell_key}"


def sealed(text: str) -> str:
    """A record's JSON text with its seal among the top-level keys: the SHA-256 of the text, on a line of its own.

    It guards against accidents and careless edits, not against somebody who removes the line.
    """
    head, found, tail = text.rpartition(_AFTER_SEAL)
    assert found  # noqa: S101 - every record has this key at the top level, and nested ones are indented further
    return f'{head}\n  "seal": "{hashlib.sha256(text.encode()).hexdigest()}",{found}{tail}'


def is_sealed(content: bytes) -> bool:
    """Whether a record's file has a seal; the first records were written without one."""
    return _find_seal(content) is not None


def _find_seal(content: bytes) -> re.Match[bytes] | None:
    return _SEALED.match(content, start) if (start := content.rfind(_SEAL)) >= 0 else None


def unsealed(text: str | bytes, where: str | Path) -> bytes:
    """The content of a record's file without its seal, if it has one; ``where`` is the file, named in the error.

    Raises:
        RecordError: if the content is not what the seal was put on.
    """
    content = text.encode() if isinstance(text, str) else text
    if (seal := _find_seal(content)) is None:
        return content
    bare = content[: seal.start()] + content[seal.end() :]
    if hashlib.sha256(bare).hexdigest().encode() != seal[1]:
        raise RecordError(f"{where}: is torn or was changed after it was written: its content does not match its seal")
    return bare


def utc_now() -> str:
    """The present time as ``created`` wants it, in whole seconds."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
