"""``hydra/sweeper=planned``: Hydra's basic sweeper with a plan before it, and what is missing after it."""

import sys
from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser


class PlannedSweeper(BasicSweeper):
    """Runs the product of all comma-separated values, less what has its records already."""

    def sweep(self, arguments: list[str]) -> Any:
        """Plans and runs the sweep; the process ends with status 2 if cells are missing, with 75 if time was up."""
        from ood_bench.sweep.hydra import sweep  # noqa: PLC0415 - plugins are imported even for --help

        assert self.hydra_context is not None and self.config is not None  # noqa: S101, PT018 - setup came first
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        jobs: Sequence[Sequence[str]] = [job for batch in self.split_arguments(overrides, None) for job in batch]
        if status := sweep(jobs, self.config, self.hydra_context.config_loader, self.launcher):
            sys.exit(status)
