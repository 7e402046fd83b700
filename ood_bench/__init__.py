"""Reproduces out-of-distribution detection papers from Hydra configs, and says honestly how close it came."""

import getpass
import os
from collections.abc import Sequence
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["__version__", "run"]

try:
    __version__ = metadata.version("ood-bench")
except metadata.PackageNotFoundError:  # a checkout that is not installed
    __version__ = "unknown"

try:
    getpass.getuser()
except (KeyError, OSError):  # a number without a name, as in a container: torch and submitit ask for the name
    os.environ["USER"] = f"uid{os.getuid()}"


def run(overrides: Sequence[str] = ()) -> "pd.DataFrame":
    """Runs what the command line would run, and gives the records as a table.

    Args:
        overrides: as on the command line, for example ``["experiment=quickstart", "method=[msp,odin]"]``.

    Returns:
        One row for each record, old or new, with a column for each metric in percent and much else, see
        :func:`ood_bench.results.frame`.

    Raises:
        OodBenchError: with one message that says what is wrong and what to do.
    """
    from ood_bench.config import compose_settings  # noqa: PLC0415 - importing torch takes seconds
    from ood_bench.results import frame  # noqa: PLC0415
    from ood_bench.runner.execute import execute  # noqa: PLC0415

    return frame(execute(compose_settings(overrides)).records)
