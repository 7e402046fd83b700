"""Composing the shipped configs with Hydra, and saying what is wrong where that cannot be done."""

import copy
import functools
import glob
import os
import re
import shlex
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ood_bench.errors import ConfigError
from ood_bench.utils.configs import conf_dir, options
from ood_bench.utils.suggest import did_you_mean, nearest
from ood_bench.utils.yaml_size import bound_yaml

COMPOSE_ERRORS = (HydraException, OmegaConfBaseException, ValueError)
"""What Hydra raises for a configuration that it cannot compose; ValueError for ``model=null`` and its like."""
NULL_GROUP = "Config group override must be a string"
"""How Hydra's message for ``model=null`` begins."""
_AMBIGUOUS = "Ambiguous value for argument '"
_MOST = 500
"""A message names all options of a group if they take no more letters than this."""
_KEY = re.compile(r"[+~]*[\w$%./@:-]+")

bound_yaml()


def composed(overrides: Sequence[str]) -> DictConfig:
    """The configuration that Hydra composes from overrides, without its own node; raises :data:`COMPOSE_ERRORS`.

    Composing takes a third of a second: what the last choices of configs gave is kept while no file changes, and values
    are laid over a copy; unless Hydra's own keys are named, as for a folder of the user, or several values.
    """
    GlobalHydra.instance().clear()
    given = [parsed(word) for word in overrides]
    if any(one.key_or_group.startswith("hydra") or one.is_sweep_override() for one in given):
        return _composed(tuple(overrides))
    values = [one for one in given if is_value(one, lambda group: (conf_dir() / group).is_dir())]
    choices = tuple(str(one.input_line) for one in given if one not in values)
    return with_values(copy.deepcopy(_kept(choices, _files())), values)


@functools.lru_cache(maxsize=10_000)
def parsed(word: str) -> Override:
    """An override as Hydra's grammar reads it, which takes a millisecond; runs and jobs share most of theirs."""
    (override,) = OverridesParser.create().parse_overrides([word])
    return override


def is_value(override: Override, is_group: Callable[[str], bool]) -> bool:
    """Whether Hydra takes an override for that of a value, which reads no file, and not for the choice of a config."""
    return isinstance(override.value(), dict) or not is_group(override.key_or_group)


def with_values(config: DictConfig, values: Sequence[Override]) -> DictConfig:
    """A composed configuration, changed by values as Hydra does it; raises :data:`COMPOSE_ERRORS`."""
    OmegaConf.set_struct(config, value=True)
    ConfigLoaderImpl._apply_overrides_to_config(list(values), config)
    return config


def _composed(overrides: tuple[str, ...]) -> DictConfig:
    with initialize_config_dir(str(conf_dir()), version_base="1.3", job_name="ood_bench"):
        return compose("config", overrides=list(overrides))


@functools.lru_cache(maxsize=64)
def _kept(overrides: tuple[str, ...], files: tuple[tuple[str, int, int], ...]) -> DictConfig:
    return _composed(overrides)


def _files() -> tuple[tuple[str, int, int], ...]:
    """Every shipped config file, when it was last changed, and its size."""
    entries = (entry for folder, _, _ in os.walk(conf_dir()) for entry in os.scandir(folder) if entry.is_file())
    return tuple(sorted((entry.path, (stat := entry.stat()).st_mtime_ns, stat.st_size) for entry in entries))


def explained(error: Exception, overrides: Sequence[str]) -> ConfigError:
    """What Hydra found wrong with overrides, with the known name that is nearest to an unknown one."""
    text = str(error)
    if text.startswith(NULL_GROUP):
        nulls = [word for word in overrides if word.endswith("=null") and options(word.removesuffix("=null"))]
        hint = "leave it out, or choose an option: ood-bench list GROUP shows all"
        return ConfigError(f"configuration: {' '.join(nulls) or text}: a group cannot be null", hint)
    if isinstance(error, OverrideParseException) or text.startswith(_AMBIGUOUS):
        return _unread(error, text)
    if isinstance(error, MissingConfigException):
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return _unknown_options(group, name, error.options or list(options(group)), overrides)
    if isinstance(cause := error.__cause__, OmegaConfBaseException) and isinstance(cause.parent_node, DictConfig):
        return _unknown_key(str(cause.full_key), str(cause.key), cause.parent_node, overrides)
    if found := re.match(r"Additional config directory '(.*)' not found", text):
        return ConfigError(f"there is no folder {found[1]}", "name another one by --config-dir DIR")
    return ConfigError(f"configuration: {text}")


def _unknown_key(key: str, last: str, beside: DictConfig, overrides: Sequence[str]) -> ConfigError:
    """A dotted key that does not exist, with the override that was probably meant."""
    group, _, name = key.partition(".")
    if group in ("method", "ood") and name in options(group):
        return ConfigError(
            f"configuration: {key} has a setting, but is not selected",
            f"choose {group}={name}, or set it wherever it is selected: '+adapt.{key}={{KEY: VALUE}}'",
        )
    known = ["experiment", *(f"{key.removesuffix(last)}{one!s}" for one in beside)]
    if not (near := nearest(key, known)):
        return ConfigError(f"configuration: there is no key {key!r}", f"to add a new one: +{key}=…")
    meant = next((near + word.removeprefix(key) for word in overrides if word.startswith(key)), f"{near}=…")
    return ConfigError(f"configuration: there is no key {key!r} (did you mean {near}?)", f"write {shlex.quote(meant)}")


def _unknown_options(group: str, name: str, known: Collection[str], overrides: Sequence[str]) -> ConfigError:
    """The option that Hydra came upon, and all others of the same list that do not exist."""
    if (group, name) == ("hydra/launcher", "joblib"):
        hint = "pip install '.[cluster]' in a checkout"
        return ConfigError("configuration: hydra/launcher=joblib needs hydra-joblib-launcher", hint)
    values = (word.removeprefix(f"{group}=") for word in overrides if word.startswith(f"{group}="))
    chosen = next((names for value in values if name in (names := value.strip("[] ").split(","))), [name])
    unknown = [f"{one!r}{did_you_mean(one, known)}" for one in chosen if one not in known]
    own = next((path for one in chosen for path in Path().glob(f"*/{group}/{glob.escape(one)}.yaml")), None)
    hint = f"{own} is there: add --config-dir {shlex.quote(own.parts[0])}" if own else ""
    return ConfigError(f"configuration: there is no {group} {', '.join(unknown)}; {_listed(group, known)}", hint)


def _listed(group: str, known: Collection[str]) -> str:
    """The options of a group, or where to read them if they are many."""
    names = ", ".join(known)
    return f"known: {names}" if len(names) <= _MOST else f"ood-bench list {group} shows all {len(known)}"


def _unread(error: Exception, text: str) -> ConfigError:
    """An override that Hydra's grammar does not take as it stands, with the form that it does take."""
    if isinstance(error, OverrideParseException):
        word, why = str(error.override), text.splitlines()[0].removeprefix("LexerNoViableAltException: ")
    else:
        word, why = text.splitlines()[0].removeprefix(_AMBIGUOUS)[:-1], "several values"
    key, equals, value = word.partition("=")
    what = "" if why in (word, f"Error parsing override '{word}'") else f" ({why})"
    if not equals or not _KEY.fullmatch(key) or value.startswith(("'", '"', "[", "{")):
        return ConfigError(
            f"configuration: cannot read {word!r}{what}", "write KEY=VALUE, each quote and bracket closed"
        )
    inner = os.path.expanduser(value).replace('"', '\\"')
    forms = [shlex.quote(f'{key}="{inner}"')]
    if "," in value:
        forms += [f"'{key}=[{value}]' for a list", f"-m {word} for a sweep over the values"]
    return ConfigError(
        f"configuration: cannot read {word!r}{what}",
        f"a value with = , : ; ( ) {{ }} # ~ quotes or letters like ü needs quotes inside: {', or '.join(forms)}",
    )
