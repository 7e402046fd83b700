"""The command line: ``python -m ood_bench key=value …``."""

import logging
import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console

from ood_bench.config import conf_dir, settings_of
from ood_bench.errors import OodBenchError

_log = logging.getLogger(__name__)


@hydra.main(config_path=str(conf_dir()), config_name="config", version_base="1.3")
def main(config: DictConfig) -> None:
    """Runs one configuration, and shows its table and the files that it wrote."""
    from ood_bench.pipeline import execute  # noqa: PLC0415 - importing torch takes seconds, --help and --cfg need none
    from ood_bench.report.terminal import show  # noqa: PLC0415

    try:
        settings = settings_of(config, HydraConfig.get().overrides.task)
        finished = execute(settings)
        console = Console()
        show(finished.records, console)
        console.print(
            f"{len(finished.records)} records ({finished.new} new) under {settings.results.root}/records; "
            f"tables: python -m ood_bench.report --results {settings.results.root}",
            highlight=False,
        )
    except OodBenchError as error:
        _log.error("error: %s", error)
        sys.exit(2)
    except KeyboardInterrupt:
        _log.error("interrupted: the same command goes on from the last whole epoch, bank and record")
        sys.exit(130)


if __name__ == "__main__":
    main()
