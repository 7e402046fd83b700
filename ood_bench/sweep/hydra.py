"""Between a sweep and Hydra: composing jobs, calling its launchers, reading what they return."""

import contextlib
import io
import os
import re
from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from ood_bench.errors import ConfigError, OodBenchError
from ood_bench.sweep.composer import Composer
from ood_bench.sweep.run import Compose, naming, run_sweep
from ood_bench.sweep.swept import for_selected
from ood_bench.sweep.worker import workers_end_with_me
from ood_bench.utils.time_limit import time_limit

Jobs = Sequence[Sequence[str]]
_GLOBS = re.compile(r"[=,\[]\s*glob\(")
_GLOB = re.compile(r"[^=]+=\s*glob\([^()]*\)\s*")


def sweep(jobs: Jobs, config: DictConfig, loader: Any, launcher: Any) -> int:
    """Runs a sweep with Hydra's loader and launcher; returns and raises what ``run_sweep`` does.

    Args:
        jobs: overrides of every job.
        config: the configuration that the command line composed.
        loader: Hydra's config loader.
        launcher: Hydra's launcher.

    Raises:
        ConfigError: if there is no job, or a glob stands beside other choices, which Hydra takes for a mapping.
    """
    for word in config.hydra.overrides.task:
        if _GLOBS.search(word) and not _GLOB.fullmatch(word):
            hint = "a glob stands alone; several patterns and names go into one: 'GROUP=glob([od*,fssd,ma*])'"
            raise ConfigError(f"configuration: cannot read {word!r} in a sweep", hint)
    if not jobs:
        globs = [word for word in config.hydra.overrides.task if "=glob(" in word]
        groups = " and ".join(f"ood-bench list {word.partition('=')[0]}" for word in globs)
        raise ConfigError(f"{' and '.join(globs)} matches nothing, and the sweep has no job", f"see {groups}")
    compose = Composer(config, loader)

    def launch(words: Jobs) -> list[Exception | None]:
        return [error_of(one) for one in launcher.launch([list(one) for one in words], initial_job_idx=0)]

    minutes = config.time_limit if isinstance(config.time_limit, int | float) else None  # else a job is refused
    parallel = parallel_jobs(config.hydra.launcher)
    with time_limit(minutes), workers_end_with_me():
        listed = expanded(for_selected(jobs), compose)
        return run_sweep(for_selected(listed), compose, launch, parallel, flags_of(config.hydra))


def flags_of(settings: DictConfig) -> list[str]:
    """What a job's own command line needs beside its overrides: where configs lie that are not shipped.

    Args:
        settings: Hydra's own node.
    """
    added = [source.path for source in settings.runtime.config_sources if source.provider == "command-line"]
    found = [word for path in added for word in ("--config-dir", path)]
    if settings.job.config_name not in (None, "config"):
        found += ["--config-name", settings.job.config_name]
    return [*found, *(word for word in settings.overrides.hydra if "hydra.searchpath=" in word)]


def expanded(jobs: Jobs, compose: Compose) -> list[Sequence[str]]:
    """The jobs that the configuration lists, such as each network with each table; else the job of the command line.

    The command line's overrides come last, so that they win.
    """
    found: list[Sequence[str]] = []
    for words in jobs:
        with naming(words):
            sweep_settings = compose(words).sweep
        listed = [] if sweep_settings is None else sweep_settings.overrides()
        found += [[*own, *words, "sweep=null"] for own in listed] or [words]
    return found


def error_of(returned: JobReturn) -> Exception | None:
    """What a job raised; none if it ended well."""
    if returned.status is JobStatus.COMPLETED:
        return None
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # the sweep says at its end what failed
            return OodBenchError(f"it ended with {returned.return_value}")  # raises what the job raised
    except Exception as error:
        return error


def parallel_jobs(launcher: DictConfig) -> int:
    """Number of jobs that a launcher runs at a time, from its configuration."""
    count = launcher.get("array_parallelism") or launcher.get("n_jobs") or 1
    return int(count) if count > 0 else os.cpu_count() or 1
