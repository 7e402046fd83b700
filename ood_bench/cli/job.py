"""One run, or one job of a sweep, under Hydra."""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from ood_bench.cli.interrupt import HINT
from ood_bench.cli.words import is_flag
from ood_bench.config import RunSettings, settings_of
from ood_bench.errors import ConfigError, OodBenchError
from ood_bench.sweep.swept import for_jobs_only
from ood_bench.sweep.worker import ending_with_the_sweep
from ood_bench.utils.compose import NULL_GROUP, explained
from ood_bench.utils.configs import conf_dir, look_in
from ood_bench.utils.console import INTERRUPTED, show_error
from ood_bench.utils.time_limit import OutOfTime

_log = logging.getLogger(__name__)
_NO_SINGLE_RUN = ("-m", "--multirun", "-c", "--cfg", "-i", "--info")


def run(words: Sequence[str]) -> int:
    """Hands the command line to Hydra, which composes the configuration and calls :func:`job`.

    Args:
        words: overrides and Hydra's flags.

    Returns:
        Exit status 0; any other ends the process with :class:`SystemExit`.

    Raises:
        ConfigError: if the configuration cannot be composed.
    """
    sys.argv[1:] = _flags_first(words)
    launcher = next((word for word in words if word.startswith("hydra/launcher=")), None)
    if launcher is not None and not {*_NO_SINGLE_RUN} & {*words}:
        raise ConfigError(
            f"{launcher} starts the jobs of a sweep, and this is a single run",
            "add -m and what to sweep over, such as seed=0,1,2; or leave it out",
        )
    _begin_in(Path.cwd())
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors instead of printing them
    program = hydra.main(config_path=str(conf_dir()), config_name="config", version_base="1.3")(job)
    try:
        program()
    except (HydraException, OmegaConfBaseException) as error:
        raise explained(error, words) from error
    except ValueError as error:
        if not str(error).startswith(NULL_GROUP):  # it comes from the run itself
            raise
        raise explained(error, words) from error
    return 0


def _flags_first(words: Sequence[str]) -> list[str]:
    """The command line as Hydra's parser takes it, which refuses overrides on both sides of a flag."""
    marked = list(zip(words, is_flag(words), strict=True))
    flags, overrides = ([word for word, flag in marked if flag is wanted] for wanted in (True, False))
    return [*flags, *(for_jobs_only(overrides) if {"-m", "--multirun"} & {*flags} else overrides)]


def _begin_in(folder: Path) -> None:
    """Makes a folder the one that relative paths start from, and in which `_target_` finds classes beside my_conf."""
    os.chdir(folder)
    look_in(folder)


def own_folders() -> list[Path]:
    """The folders of configs beside the shipped one, from ``--config-dir`` or ``hydra.searchpath``."""
    sources = [Path(one.path) for one in HydraConfig.get().runtime.config_sources if one.schema == "file"]
    return [path for path in sources if path != conf_dir()]


def job(config: DictConfig) -> None:
    """Runs one configuration and shows its table, or shows its plan.

    An error or Ctrl-C ends the process with one message. In a sweep it is raised: the sweep names it at its end.
    """
    if HydraConfig.get().mode is not RunMode.MULTIRUN:
        _job(config)
        return
    with ending_with_the_sweep():
        _begin_in(Path(HydraConfig.get().runtime.cwd))  # Ray's workers begin where Ray was started
        _job(config)


def _job(config: DictConfig) -> None:
    task = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
    words = [str(word) for word in task or ()]
    try:
        settings = settings_of(config, words)
        if settings.dry_run:
            _show_plan(settings, words)
        else:
            _run(settings, words)
    except OodBenchError as error:
        status = show_error(error)
        if HydraConfig.get().mode is RunMode.MULTIRUN:
            # a class that every launcher can send back
            raise error if isinstance(error, OutOfTime) else OodBenchError(error.message, error.hint) from None
        sys.exit(status)
    except KeyboardInterrupt:
        if HydraConfig.get().mode is RunMode.MULTIRUN:
            raise
        _log.error(HINT)
        sys.exit(INTERRUPTED)


def _run(settings: RunSettings, words: list[str]) -> None:
    _log.info("loading PyTorch")  # it takes seconds, and --cfg needs none
    from ood_bench.report.terminal import report_command, show  # noqa: PLC0415
    from ood_bench.runner.execute import execute  # noqa: PLC0415
    from ood_bench.runner.failures import CellsFailedError, Finished  # noqa: PLC0415
    from ood_bench.sweep.heartbeat import beating  # noqa: PLC0415
    from ood_bench.sweep.plan import job_key  # noqa: PLC0415

    folders = own_folders()

    def show_records(finished: Finished) -> None:
        console = Console()
        show(finished.records, console, folders)
        console.print(
            f"{len(finished.records)} records ({finished.new} new) under {settings.results.root}/records; "
            f"tables: {report_command(settings.results.root, folders)}",
            highlight=False,
            soft_wrap=True,
        )

    try:
        with beating(settings.store.root, job_key(words), words):
            finished = execute(settings)
        if settings.scoring.shard is None:
            show_records(finished)
    except CellsFailedError as error:
        show_records(error.finished)
        raise


def _show_plan(settings: RunSettings, words: list[str]) -> None:
    from ood_bench.sweep.plan import in_order, job_of  # noqa: PLC0415 - as above
    from ood_bench.sweep.show import show_plan  # noqa: PLC0415

    planned = job_of(words, settings)
    show_plan([planned], in_order([planned], 1), 1, Console(), full=True)
