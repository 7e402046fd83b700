"""From a composed Hydra config to checked, plain settings, before any work starts."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ood_bench.errors import ConfigError


def conf_dir() -> Path:
    """Folder of the shipped configs: inside the package once installed, beside it in a checkout.

    Raises:
        ConfigError: if neither is there.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "config.yaml").is_file():
            return folder
    raise ConfigError(f"no conf folder in {package} or beside it: the installation is incomplete")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSettings(_Part):
    """Where image sets are looked for, and whether missing ones may be downloaded."""

    root: Path
    download: bool


class FolderSettings(_Part):
    """A folder that is written to."""

    root: Path


class ScoringSettings(_Part):
    """Batch size of the passes (0 chooses by device) and number of bootstrap resamples (0 for no intervals)."""

    batch_size: int = Field(ge=0)
    resamples: int = Field(ge=0)


class TuneSettings(_Part):
    """Tuning rule, see ``conf/tune``."""

    name: str


class RunSettings(_Part):
    """One run: every top-level key of ``conf/config.yaml``.

    Attributes:
        model: content of the model's file.
        id: content of the ID set's file.
        ood: content of every OOD set's file, by config name.
        method: content of every method's file, by config name.
        train: content of the recipe's file.
        tune: the tuning rule.
        protocol: content of the protocol's file.
        paper: what a paper's file says of its block, or none.
        seed: seeds to run, one after the other.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    """

    model: dict[str, Any]
    id: dict[str, Any]
    ood: dict[str, dict[str, Any]] = Field(min_length=1)
    method: dict[str, dict[str, Any]] = Field(min_length=1)
    train: dict[str, Any]
    tune: TuneSettings
    protocol: dict[str, Any]
    paper: dict[str, Any] | None = None
    seed: list[int] = Field(min_length=1)
    device: str = Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    data: DataSettings
    store: FolderSettings
    results: FolderSettings
    scoring: ScoringSettings

    @field_validator("seed", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, int) else value


def settings_of(config: DictConfig, overrides: Sequence[str] = ()) -> RunSettings:
    """Checks a composed config and lays the protocol's hyperparameters under the command line's.

    Args:
        config: as Hydra composes it from ``conf/config.yaml``.
        overrides: the command line's overrides; those of the form ``method.<name>.…`` beat the protocol.

    Raises:
        ConfigError: on an unresolved interpolation, an unknown key or a wrong type.
    """
    try:
        OmegaConf.resolve(config)
        plain = OmegaConf.to_container(config, throw_on_missing=True, enum_to_str=True)
        assert isinstance(plain, dict)  # noqa: S101 - the root of a Hydra config is a mapping
        content = {str(key): value for key, value in plain.items() if key not in ("hydra", "experiment")}
        _lay_under(content, {"method": content["protocol"].get("methods") or {}}, overrides)
        _lay_under(content, content.pop("adapt"), overrides)
        return RunSettings.model_validate(content)
    except OmegaConfBaseException as error:
        where = f" (key: {error.full_key})" if error.full_key else ""
        raise ConfigError(f"configuration: {str(error).splitlines()[0]}{where}") from error
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, one['loc']))}: {one['msg'].lower()}, is {one['input']!r}" for one in error.errors()
        ]
        raise ConfigError("configuration: " + "; ".join(faults)) from error


def faults(error: ValidationError) -> str:
    """All that pydantic found, in one line: ``key: what is wrong, is value``."""
    found = [f"{'.'.join(map(str, one['loc']))}: {one['msg'].lower()}, is {one['input']!r}" for one in error.errors()]
    return "; ".join(found)


def _lay_under(content: dict[str, Any], changes: Mapping[str, Mapping[str, Any]], overrides: Sequence[str]) -> None:
    """Replaces keys of the methods and OOD sets that are selected, except those set on the command line."""
    said = [item.lstrip("+").split("=", 1)[0] for item in overrides]
    said = [key for key in said if "." in key]  # method=odin selects, method.odin.magnitudes=… sets
    for group, nodes in changes.items():
        for name, fixed in nodes.items():
            for key, value in fixed.items():
                if name in content[group] and not any(_covers(word, f"{group}.{name}.{key}") for word in said):
                    content[group][name][key] = value


def _covers(said: str, key: str) -> bool:
    return key == said or key.startswith(f"{said}.") or said.startswith(f"{key}.")


def compose_settings(overrides: Sequence[str], config_dir: Path | None = None) -> RunSettings:
    """Composes the shipped configs with overrides, as the command line does.

    Args:
        overrides: as on the command line, for example ``["experiment=quickstart", "seed=1"]``.
        config_dir: another folder than the shipped one.

    Raises:
        ConfigError: if an override names something unknown or ill-typed.
    """
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_dir or conf_dir()), version_base="1.3", job_name="ood_bench"):
            config = compose("config", overrides=list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(f"configuration: {error}") from error
    return settings_of(config, overrides)


def default_data_root() -> str:
    """The data root when ``data.root`` is not given: the environment variable ``OOD_BENCH_DATA``, else ``data``."""
    return os.environ.get("OOD_BENCH_DATA", "data")


def public(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A node's settings without Hydra's own keys."""
    return {key: value for key, value in settings.items() if not key.startswith("_")}
