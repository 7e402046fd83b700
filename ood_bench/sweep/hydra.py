"""Between a sweep and Hydra: composing jobs, calling its launchers, reading what they give back."""

import logging
import os
from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ood_bench.config import RunSettings, settings_of
from ood_bench.errors import ConfigError, OodBenchError, reason
from ood_bench.sweep.run import conduct

_log = logging.getLogger(__name__)


def sweep(jobs: Sequence[Sequence[str]], config: DictConfig, loader: Any, launcher: Any) -> bool:
    """Conducts a sweep with one of Hydra's launchers.

    Args:
        jobs: overrides of every job.
        config: the configuration that the command line composed.
        loader: Hydra's config loader.
        launcher: Hydra's launcher.

    Returns:
        Whether every cell has a record now; a refusal is logged and is a no.
    """

    def compose(words: Sequence[str]) -> RunSettings:
        try:
            whole = loader.load_sweep_config(config, list(words))
            return settings_of(OmegaConf.masked_copy(whole, [key for key in whole if key != "hydra"]), words)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(f"configuration: {error}") from error

    def launch(words: Sequence[Sequence[str]]) -> list[str]:
        return [fault(one) for one in launcher.launch([list(one) for one in words], initial_job_idx=0)]

    try:
        return conduct(jobs, compose, launch, parallel_jobs(config.hydra.launcher))
    except OodBenchError as error:
        _log.error("error: %s", error)
        return False


def fault(returned: JobReturn) -> str:
    """What went wrong in a job, in one line; empty if nothing did."""
    if returned.status is JobStatus.COMPLETED:
        return ""
    try:
        return f"it ended with {returned.return_value}"  # raises what the job raised
    except Exception as error:
        return reason(error)


def parallel_jobs(launcher: DictConfig) -> int:
    """Number of jobs that a launcher runs at a time, from its configuration."""
    count = launcher.get("array_parallelism") or launcher.get("n_jobs") or 1
    return int(count) if count > 0 else os.cpu_count() or 1
