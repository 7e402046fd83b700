"""Composes the jobs of a sweep: Hydra composes each choice of configs once, and values are laid over a copy of it."""

from collections.abc import Sequence
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from ood_bench.config import RunSettings, settings_of
from ood_bench.utils.compose import COMPOSE_ERRORS, explained, is_value, parsed, with_values

_Words = tuple[str, ...]


class Composer:
    """Makes settings of jobs from their overrides.

    Composing takes Hydra a quarter of a second, and a sweep may have thousands of jobs that differ in values only, such
    as a seed. Which files are composed depends on the overrides of groups; values come afterwards.

    Args:
        config: the configuration that the command line composed.
        loader: Hydra's config loader.
    """

    def __init__(self, config: DictConfig, loader: ConfigLoaderImpl) -> None:
        self._config, self._loader = config, loader
        self._chosen: dict[_Words, DictConfig] = {}
        self._asked_once: dict[_Words, RunSettings] = {}

    def __call__(self, words: Sequence[str]) -> RunSettings:
        """Settings of one job; who asks for the same a second time gets what the first one got.

        Raises:
            ConfigError: if the configuration cannot be composed or is not valid.
        """
        if (known := self._asked_once.pop(tuple(words), None)) is not None:
            return known
        try:
            whole = self._composed([parsed(word) for word in words])
        except COMPOSE_ERRORS as error:
            raise explained(error, words) from error
        self._asked_once[tuple(words)] = settings = settings_of(whole, words)
        return settings

    def _composed(self, overrides: Sequence[Override]) -> DictConfig:
        values = [one for one in overrides if is_value(one, self._loader.repository.group_exists)]
        choices = tuple(str(one.input_line) for one in overrides if one not in values)
        if choices not in self._chosen:
            whole: Any = self._loader.load_sweep_config(self._config, list(choices))
            self._chosen[choices] = OmegaConf.masked_copy(whole, [key for key in whole if key != "hydra"])
        job = OmegaConf.masked_copy(self._chosen[choices], list(self._chosen[choices]))
        return with_values(job, values)
