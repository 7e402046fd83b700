"""Composing the shipped configs with Hydra, and saying what is wrong where that cannot be done."""

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ood_bench.errors import ConfigError
from ood_bench.utils.configs import conf_dir, options
from ood_bench.utils.suggest import did_you_mean

COMPOSE_ERRORS = (HydraException, OmegaConfBaseException, ValueError)
"""What Hydra raises for a configuration that it cannot compose; ValueError for ``model=null`` and its like."""


def composed(overrides: Sequence[str], folder: Path | None = None) -> DictConfig:
    """The configuration that Hydra composes, without its own node; raises :data:`COMPOSE_ERRORS`.

    Args:
        overrides: as on the command line.
        folder: another folder than that of the shipped configs.
    """
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(folder or conf_dir()), version_base="1.3", job_name="ood_bench"):
        return compose("config", overrides=list(overrides))


def explained(error: Exception, overrides: Sequence[str]) -> ConfigError:
    """What Hydra found wrong with overrides, with the known name that is nearest to an unknown one."""
    text = str(error)
    if isinstance(error, MissingConfigException):
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        known = error.options or list(options(group))
        return ConfigError(
            f"configuration: there is no {group} {name!r}{did_you_mean(name, known)}; known: {', '.join(known)}"
        )
    if found := re.match(r"Could not override '([\w.]+)'", text):
        parent, _, key = found[1].rpartition(".")
        near = did_you_mean(key, _keys_at(parent, [one for one in overrides if found[1] not in one]))
        return ConfigError(f"configuration: there is no key {found[1]!r}{near}", f"to add a new one: +{found[1]}=…")
    return ConfigError(f"configuration: {text}")


def _keys_at(place: str, overrides: Sequence[str]) -> list[str]:
    """The keys at a dotted place of the configuration; none if the other overrides cannot be composed, either."""
    with contextlib.suppress(*COMPOSE_ERRORS):
        config = composed(overrides)
        return [str(key) for key in (OmegaConf.select(config, place) if place else [*config, "experiment"])]
    return []
