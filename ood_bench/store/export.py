"""Records as one flat table, for other programs: CSV, or Parquet with the extra ``parquet``."""

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from ood_bench.errors import ConfigError
from ood_bench.results import Record
from ood_bench.utils.files import write_atomically


def table(records: Iterable[Record]) -> pd.DataFrame:
    """One row a record, sorted by names and seed: names, every metric with its interval, provenance.

    Columns of metrics are ``metrics.auroc``, ``metrics.auroc.low``, ``exact.auroc`` and so on, in percent; whatever is
    nested (hyperparameters, deviations, versions) is JSON text.
    """
    frame = pd.DataFrame([_row(record) for record in records])
    first = list(_names_of_row())
    frame = frame.reindex(columns=[*first, *sorted(set(frame.columns) - set(first))])
    return frame.sort_values(first[:8], ignore_index=True)


def _names_of_row() -> tuple[str, ...]:
    return ("id", "model", "protocol", "method", "variant", "ood", "seed", "cell_key", "n_id", "n_ood")


def _row(record: Record) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(record, name) for name in _names_of_row()}
    for group, metrics in (("metrics", record.metrics), ("exact", record.exact)):
        for name, metric in metrics.items():
            row |= {f"{group}.{name}": metric.value}
            row |= {f"{group}.{name}.low": metric.low, f"{group}.{name}.high": metric.high}
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


def export(records: Iterable[Record], path: Path) -> int:
    """Writes the table; gives its number of rows.

    Args:
        records: what to write.
        path: a file that ends in ``.csv`` or ``.parquet``.

    Raises:
        ConfigError: if it ends in something else, or Parquet cannot be written here.
        ArtifactError: if the file cannot be written.
    """
    frame = table(records)
    if path.suffix == ".csv":
        content = frame.to_csv(index=False, lineterminator="\n").encode()
    elif path.suffix == ".parquet":
        buffer = io.BytesIO()
        try:
            frame.to_parquet(buffer, index=False)
        except ImportError as error:
            raise ConfigError(
                f"{path}: Parquet needs pyarrow: pip install '.[parquet]' in a checkout, or name a .csv"
            ) from error
        content = buffer.getvalue()
    else:
        raise ConfigError(f"{path}: the name must end in .csv or .parquet")
    write_atomically(path, content)
    return len(frame)
