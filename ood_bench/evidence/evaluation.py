"""The metrics of scores in memory by a protocol's convention."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
from omegaconf import OmegaConf

from ood_bench.errors import ConfigError
from ood_bench.metrics import Measure, measure, measure_selective
from ood_bench.utils.configs import config_files
from ood_bench.utils.suggest import did_you_mean


def convention_of(protocol: str, own: Sequence[Path] = ()) -> str:
    """The metric convention that a protocol names.

    Args:
        protocol: the protocol's name.
        own: folders of configs beside the shipped one.

    Raises:
        ConfigError: if there is no such protocol.
    """
    known = config_files("protocol", own)
    if protocol not in known:
        raise ConfigError(f"no protocol {protocol!r}{did_you_mean(protocol, known)}", f"known: {', '.join(known)}")
    return str(OmegaConf.select(OmegaConf.load(known[protocol]), "convention", default="exact"))


def evaluate(
    id_scores: npt.ArrayLike,
    ood_scores: npt.ArrayLike,
    protocol: str,
    choices: Mapping[str, Any],
    *,
    correct: npt.ArrayLike | None,
    validation: npt.ArrayLike | None,
    **resampling: int,
) -> dict[str, Measure]:
    """See :func:`ood_bench.evaluate`."""
    own, exact = measure(convention_of(protocol), id_scores, ood_scores, **resampling, **choices)
    further = measure_selective(id_scores, ood_scores, correct=correct, validation=validation)
    groups = {"": own, "exact.": exact, "selective.": further}
    return {f"{group}{name}": value for group, metrics in groups.items() for name, value in metrics.items()}
