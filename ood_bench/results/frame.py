"""Records as one flat table."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ood_bench.results.record import Record

if TYPE_CHECKING:
    import pandas as pd

_NAMES = ("id", "model", "protocol", "method", "variant", "ood", "seed", "cell_key", "n_id", "n_ood")


def frame(records: Iterable[Record]) -> "pd.DataFrame":
    """One row a record, in their order: names, row counts, every metric with its interval, and how it was made.

    Metrics are in percent: ``auroc``, ``auroc.low``, ``auroc.high`` and so on by the paper's convention,
    ``exact.auroc`` by the exact definition. What is nested (hyperparameters, deviations, versions) is JSON text.
    """
    import pandas as pd  # noqa: PLC0415 - reading records needs none of it, and it takes long to import

    rows = [_row(record) for record in records]
    others = {name for row in rows for name in row} - set(_NAMES)
    return pd.DataFrame(rows, columns=[*_NAMES, *sorted(others)])


def _row(record: Record) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(record, name) for name in _NAMES}
    for group, metrics in (("", record.metrics), ("exact.", record.exact)):
        for name, metric in metrics.items():
            row |= {f"{group}{name}": metric.value}
            row |= {f"{group}{name}.low": metric.low, f"{group}{name}.high": metric.high}
    for name in ("convention", "positive", "rows", "tuned_on"):
        row[f"evaluation.{name}"] = getattr(record.evaluation, name)
    for role, used in record.data:
        row |= {} if used is None else {f"data.{role}": used.title, f"data.{role}.fingerprint": used.fingerprint}
    networks = record.checkpoint.networks
    accuracy = sum(network.id_accuracy for network in networks) / len(networks)
    row |= {"checkpoint.sha256": record.checkpoint.sha256, "checkpoint.id_accuracy": accuracy}
    row |= {"hyperparameters": _text(record.hyperparameters), "deviations": _text(record.deviations)}
    versions = record.environment
    row |= {"device": versions.device, "git_revision": versions.git_revision, "git_dirty": versions.git_dirty}
    return row | {"packages": _text(versions.packages), "seconds": record.seconds, "created": record.created}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
