"""Reproduces out-of-distribution detection papers from Hydra configs, and says honestly how close it came."""

import getpass
import os
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from ood_bench.metrics import Measure

__all__ = ["__version__", "evaluate", "run"]

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


def evaluate(
    id_scores: "npt.ArrayLike",
    ood_scores: "npt.ArrayLike",
    *,
    protocol: str = "plain",
    resamples: int = 1000,
    seed: int = 0,
    options: Mapping[str, str] | None = None,
    correct: "npt.ArrayLike | None" = None,
    validation: "npt.ArrayLike | None" = None,
) -> "dict[str, Measure]":
    """The metrics of scores by a protocol's convention, whatever made them.

    Args:
        id_scores: ``[N_id]``, higher means more in-distribution.
        ood_scores: ``[N_ood]``, likewise.
        protocol: name of the protocol, as in ``conf/protocol``.
        resamples: of the bootstrap for intervals; 0 for none.
        seed: of the bootstrap.
        options: of the metric convention, where it needs any, such as ``{"row": "msp"}`` for ODIN's.
        correct: bool ``[N_id]``, whether the class of each ID row is predicted right; adds AURC and the like.
        validation: scores ``[V]`` of further ID rows, on which a threshold is set; by default every second ID row.

    Returns:
        Value and 95 % interval in percent by metric; those of the exact definitions with ``exact.`` before their names,
        those of correctness, rejection and the threshold (docs/metrics.md) with ``selective.``.

    Raises:
        OodBenchError: if there is no such protocol, the scores cannot be ranked, or ``correct`` does not fit them.
    """
    from ood_bench.evidence.evaluation import evaluate as evaluated  # noqa: PLC0415 - importing scipy takes long

    return evaluated(
        id_scores,
        ood_scores,
        protocol,
        options or {},
        correct=correct,
        validation=validation,
        resamples=resamples,
        seed=seed,
    )
