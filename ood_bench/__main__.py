"""The command line: ``python -m ood_bench key=value …``."""

import logging
import os
import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from ood_bench.config import RunSettings, conf_dir, settings_of
from ood_bench.errors import OodBenchError
from ood_bench.utils.time_limit import OUT_OF_TIME, OutOfTime

_log = logging.getLogger(__name__)

# Before torch is imported: threads that wait for each other by spinning take four times as long where other programs
# use the same cores; short spells of it cost next to nothing.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")


@hydra.main(config_path=str(conf_dir()), config_name="config", version_base="1.3")
def main(config: DictConfig) -> None:
    """Runs one configuration, or one job of a sweep, and shows its table and the files that it wrote."""
    task = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
    words = [str(word) for word in task or ()]
    try:
        settings = settings_of(config, words)
        if settings.dry_run:
            _plan(settings, words)
        else:
            _run(settings, words)
    except OodBenchError as error:
        _log.error("error: %s", error)
        if HydraConfig.get().mode is RunMode.MULTIRUN:
            raise error if isinstance(error, OutOfTime) else OodBenchError(str(error)) from None  # the sweep goes on
        sys.exit(OUT_OF_TIME if isinstance(error, OutOfTime) else 2)
    except KeyboardInterrupt:
        _log.error("interrupted: the same command goes on from the last whole epoch, bank and record")
        sys.exit(130)


def _run(settings: RunSettings, words: list[str]) -> None:
    # Importing torch takes seconds, --help and --cfg need none.
    from ood_bench.report.terminal import show  # noqa: PLC0415
    from ood_bench.runner.execute import execute  # noqa: PLC0415
    from ood_bench.runner.failures import CellsFailedError, Finished  # noqa: PLC0415
    from ood_bench.sweep.heartbeat import beating  # noqa: PLC0415
    from ood_bench.sweep.plan import job_key  # noqa: PLC0415

    def tell(finished: Finished) -> None:
        console = Console()
        show(finished.records, console)
        console.print(
            f"{len(finished.records)} records ({finished.new} new) under {settings.results.root}/records; "
            f"tables: python -m ood_bench.report --results {settings.results.root}",
            highlight=False,
        )

    try:
        with beating(settings.store.root, job_key(words), words):
            finished = execute(settings)
        tell(finished)
    except CellsFailedError as error:
        tell(error.finished)
        raise


def _plan(settings: RunSettings, words: list[str]) -> None:
    from ood_bench.sweep.plan import in_order, job_of  # noqa: PLC0415 - as above
    from ood_bench.sweep.show import show_plan  # noqa: PLC0415

    job = job_of(words, settings)
    show_plan([job], in_order([job], 1), 1, Console(), full=True)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:  # whoever reads has enough, as in `--help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
