"""From a composed Hydra config to checked, plain settings, before any work starts."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ood_bench.errors import ConfigError
from ood_bench.utils.compose import COMPOSE_ERRORS, composed, explained
from ood_bench.utils.faults import faults
from ood_bench.utils.overrides import changed_below, leaves

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+@=-]*")
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSettings(_Part):
    """Where image sets are looked for; whether missing ones are downloaded, and missing OOD sets left out.

    Attributes:
        on_damage: ``skip`` leaves out files of folders, archives and lists that are no whole pictures.
        decode: ``store`` decodes a set once, into the store; ``stream`` decodes image files whenever they are scored.
        limit: images kept of each set, for a trial; none for all.
    """

    root: Path
    download: bool
    skip_missing: bool = False
    decode: Literal["store", "stream"] = "store"
    limit: Annotated[int, Field(gt=0, strict=True)] | None = None
    on_damage: Literal["refuse", "skip"] = "refuse"

    @model_validator(mode="after")
    def _damage_is_seen(self) -> Self:
        if self.decode == "stream" and self.on_damage == "skip":
            raise ValueError("on_damage=skip needs decode=store: a stream does not know beforehand what is damaged")
        return self


class FolderSettings(_Part):
    """A folder that is written to."""

    root: Path


class ScoringSettings(_Part):
    """How networks are run and what is kept.

    Attributes:
        batch_size: images a pass takes at once; 0 chooses by device.
        resamples: of the bootstrap; 0 for no intervals.
        details: cells of which the page's details are kept.
        shards: parts of each pass that jobs of their own may compute.
        shard: the part that this job computes, from 0; none for a run that joins them and scores.
        backend: the library that runs passes without gradients.
    """

    batch_size: int = Field(ge=0)
    resamples: int = Field(ge=0)
    details: Literal["new", "all", "none"] = "new"
    shards: Annotated[int, Field(gt=0, strict=True)] = 1
    shard: Annotated[int, Field(ge=0, strict=True)] | None = None
    backend: Literal["torch", "openvino", "auto"] = "torch"

    @property
    def pass_backend(self) -> Literal["torch", "openvino", "auto"]:
        """The backend; in shards ``auto`` is torch, for it would choose by the size of a shard."""
        return "torch" if self.backend == "auto" and self.shards > 1 else self.backend

    @model_validator(mode="after")
    def _shard_exists(self) -> Self:
        if self.shard is not None and self.shards == 1:
            raise ValueError(f"shard={self.shard} is a part of nothing: say of how many, as in scoring.shards=4")
        if self.shard is not None and self.shard >= self.shards:
            raise ValueError(f"shard={self.shard}: those of shards={self.shards} are 0 to {self.shards - 1}")
        return self


class SweepSettings(_Part):
    """Jobs that a sweep runs for each combination of values on the command line.

    Attributes:
        jobs: names of parts for each job; none leaves a job out.
        parts: overrides by the part's name.
    """

    jobs: dict[str, list[str] | None]
    parts: dict[str, list[str]]

    @model_validator(mode="after")
    def _parts_exist(self) -> Self:
        unknown = {part for parts in self.jobs.values() for part in parts or ()} - self.parts.keys()
        if unknown:
            raise ValueError(f"sweep.parts lacks {', '.join(sorted(unknown))}")
        return self

    def overrides(self) -> list[list[str]]:
        """The overrides of every job."""
        return [[word for part in parts for word in self.parts[part]] for parts in self.jobs.values() if parts]


class TuneSettings(_Part):
    """Tuning rule, see ``conf/tune``."""

    name: str


class Changes(_Part):
    """Keys of methods, OOD sets and protocols that a protocol, a paper or an experiment changes, by config name.

    A key with dots, such as ``source.resize``, changes one value deeper down and leaves its neighbours.
    """

    method: dict[str, dict[str, Any]] = Field(default_factory=dict)
    ood: dict[str, dict[str, Any]] = Field(default_factory=dict)
    protocol: dict[str, dict[str, Any]] = Field(default_factory=dict)

    def of_selected(self, content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Dotted key and value of every change to what is selected."""
        for group, nodes in (("method", self.method), ("ood", self.ood)):
            for name, changed in nodes.items():
                if isinstance(content[group].get(name), Mapping):
                    yield from ((f"{group}.{name}.{key}", value) for key, value in changed.items())
        changed = self.protocol.get(content["protocol"].get("name"), {})
        yield from ((f"protocol.{key}", value) for key, value in changed.items())


class RunSettings(_Part):
    """One run: every top-level key of ``conf/config.yaml``.

    Attributes:
        model: content of the model's file.
        id: content of the ID set's file.
        ood: content of every OOD set's file, by config name.
        method: content of every method's file, by config name.
        train: content of the recipe's file.
        checkpoint: a published checkpoint to score instead of training, or none.
        checkpoint_entry: which of its networks to read where it holds several.
        checkpoint_ignore: patterns of tensors to leave out.
        checkpoint_rename: other names of its tensors, by the names or prefixes that they have.
        tune: the tuning rule.
        protocol: content of the protocol's file.
        paper: what a paper's file says of its block, or none.
        seed: seeds to run, one after the other.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        dry_run: whether to show what would be done instead of doing it.
        threads: threads of the processor that torch computes with, or none for its own choice.
        time_limit: minutes after which the run stops, or none.
        sweep: what ``-m`` runs; none in one of its jobs.
    """

    model: dict[str, Any]
    id: dict[str, Any]
    ood: dict[str, dict[str, Any]] = Field(min_length=1)
    method: dict[str, dict[str, Any]] = Field(min_length=1)
    train: dict[str, Any]
    checkpoint: Path | None = None
    checkpoint_entry: str | None = None
    checkpoint_ignore: list[str] | None = None
    checkpoint_rename: dict[str, str] | None = None
    tune: TuneSettings
    protocol: dict[str, Any]
    paper: dict[str, Any] | None = None
    seed: list[Annotated[int, Field(ge=0, lt=2**32, strict=True)]] = Field(min_length=1)
    device: str
    dry_run: bool = False
    threads: Annotated[int, Field(ge=1)] | None = None
    time_limit: Annotated[float, Field(ge=0)] | None = None
    sweep: SweepSettings | None = None
    data: DataSettings
    store: FolderSettings
    results: FolderSettings
    scoring: ScoringSettings

    @field_validator("seed", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        seeds = value if isinstance(value, list) else [value]
        if wrong := [seed for seed in seeds if type(seed) is not int]:
            raise ValueError(f"it takes whole numbers, not {wrong[0]!r}: write seed=3, or 'seed=[0,1,2]' for several")
        return seeds

    @field_validator("seed")
    @classmethod
    def _each_once(cls, value: list[int]) -> list[int]:
        if twice := sorted({seed for seed in value if value.count(seed) > 1}):
            raise ValueError(f"{twice[0]} is named twice")
        return value

    @field_validator("device")
    @classmethod
    def _is_a_device(cls, value: str) -> str:
        if not _DEVICE.fullmatch(value):
            raise ValueError(f"there is no {value!r}: choose auto, cpu, cuda or cuda:NUMBER")
        return value

    @model_validator(mode="after")
    def _nodes_are_usable(self) -> Self:
        """Names are parts of paths in the store and among the records; classes are found by their import path."""
        classes = {"model": self.model, "protocol": self.protocol}
        named = {**classes, "id": self.id, "train": self.train, **{f"ood.{key}": one for key, one in self.ood.items()}}
        classes |= {f"method.{key}": node for key, node in self.method.items()}
        for place, node in named.items():
            name = node.get("name")
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise ValueError(f"{place}.name is {name!r}: it needs letters, digits and _.+@=- only")
        for place, node in classes.items():
            target = node.get("_target_")
            if not isinstance(target, str) or not target:
                group, _, name = place.partition(".")
                or_select = f"; a shipped one has to be selected, too: {group}={name}" if name else ""
                raise ValueError(f"{place}._target_ is {target!r}: it needs the import path of a class{or_select}")
        return self


def settings_of(config: DictConfig, overrides: Sequence[str] = ()) -> RunSettings:
    """Checks a composed config, after the changes that its protocol, paper or experiment makes.

    Args:
        config: as Hydra composes it from ``conf/config.yaml``.
        overrides: the command line's overrides; the keys that they name keep their values whatever else changes.

    Raises:
        ConfigError: on an unresolved interpolation, an unknown key or a wrong type.
    """
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True, enum_to_str=True)
        assert isinstance(plain, dict)  # noqa: S101 - the root of a Hydra config is a mapping
        content = {str(key): value for key, value in plain.items() if key not in ("hydra", "experiment")}
        _refuse_gaps(content)
        methods = _changes("protocol.methods", {"method": content["protocol"].get("methods")})
        adapt = _changes("adapt", content.pop("adapt"))
        changes = [*methods.of_selected(content), *adapt.of_selected(content)]
        return RunSettings.model_validate(changed_below(content, changes, overrides))
    except OmegaConfBaseException as error:
        where = f" (key: {error.full_key})" if error.full_key else ""
        raise ConfigError(f"configuration: {str(error).splitlines()[0]}{where}") from error
    except ValidationError as error:
        raise ConfigError(f"configuration: {faults(error, RunSettings.model_fields)}") from error


def _refuse_gaps(content: Mapping[str, Any]) -> None:
    """Refuses a selection that is empty, and numbers that no computation can use."""
    for group, example in (
        ("ood", "ood=mnist or 'ood=[mnist,kmnist]'"),
        ("method", "method=msp or 'method=[msp,odin]'"),
    ):
        if not content.get(group):
            raise ConfigError(f"configuration: no {group} is selected: choose one or more, as in {example}")
    for group in ("ood", "method", "protocol", "adapt"):
        if not isinstance(content.get(group), dict):
            raise ConfigError(f"configuration: {group} is {content.get(group)!r}, which is no mapping with its keys")
    for group in ("ood", "method"):
        for key, node in content[group].items():
            if not isinstance(node, dict):
                raise ConfigError(
                    f"configuration: {group}.{key} is {node!r}, where a mapping with its keys is needed",
                    f"a file of your own in {group}/ begins with the line `# @package {group}.NAME`",
                )
    for place, value in leaves(content):
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"configuration: {place} is {value}: it must be a finite number")


def _changes(place: str, groups: Mapping[str, Any]) -> Changes:
    try:
        return Changes.model_validate({group: nodes for group, nodes in groups.items() if nodes is not None})
    except ValidationError as error:
        raise ConfigError(f"configuration: {place}: {faults(error)}") from error


def compose_settings(overrides: Sequence[str]) -> RunSettings:
    """Composes the shipped configs with overrides, as the command line does.

    Args:
        overrides: as on the command line, for example ``["experiment=quickstart", "seed=1"]``.

    Raises:
        ConfigError: if an override names something unknown or ill-typed.
    """
    try:
        config = composed(overrides)
    except COMPOSE_ERRORS as error:
        raise explained(error, overrides) from error
    return settings_of(config, overrides)
