"""Records as one flat table, and as a file for other programs: CSV, or Parquet with the extra ``parquet``."""

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import fields

from ood_bench.errors import ConfigError
from ood_bench.results.record import Record
from ood_bench.utils.files import write_atomically
from ood_bench.utils.printable import inert

if TYPE_CHECKING:
    import pandas as pd

_NAMES = ("id", "model", "protocol", "method", "variant", "ood", "seed", "cell_key", "n_id", "n_ood")
_ORDER = ["id", "model", "protocol", "method", "variant", "ood", "seed", "cell_key"]


def frame(records: Iterable[Record]) -> "pd.DataFrame":
    """One row a record, in their order: names, row counts, every metric with its interval, and how it was made.

    Metrics are in percent: ``auroc``, ``auroc.low``, ``auroc.high`` and so on by the paper's convention,
    ``exact.auroc`` by the exact definition, ``selective.aurc`` and so on of correctness and rejection. What is nested
    (hyperparameters, deviations, versions) is JSON text.
    """
    import pandas as pd  # noqa: PLC0415 - reading records needs none of it, and it takes long to import

    rows = [_row(record) for record in records]
    others = {name for row in rows for name in row} - set(_NAMES)
    return pd.DataFrame(rows, columns=[*_NAMES, *sorted(others)])


def _row(record: Record) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(record, name) for name in _NAMES}
    for group, metrics in (("", record.metrics), ("exact.", record.exact), ("selective.", record.selective)):
        for name, metric in metrics.items():
            row |= {f"{group}{name}": metric.value}
            row |= {f"{group}{name}.low": metric.low, f"{group}{name}.high": metric.high}
    for name in ("convention", "positive", "rows", "tuned_on"):
        row[f"evaluation.{name}"] = getattr(record.evaluation, name)
    for role in (field.name for field in fields(record.data)):
        if (used := getattr(record.data, role)) is not None:
            row |= {f"data.{role}": used.title, f"data.{role}.fingerprint": used.fingerprint}
    checkpoint = record.checkpoint
    row |= {"checkpoint.sha256": checkpoint.sha256, "checkpoint.id_accuracy": checkpoint.id_accuracy}
    row |= {"hyperparameters": _text(record.hyperparameters), "deviations": _text(record.deviations)}
    versions = record.environment
    row |= {"device": versions.device, "git_revision": versions.git_revision, "git_dirty": versions.git_dirty}
    return row | {"packages": _text(versions.packages), "seconds": record.seconds, "created": record.created}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def export(records: Iterable[Record], path: Path) -> int:
    """Writes :func:`frame` of the records, sorted by names and seed; gives its number of rows.

    Raises:
        ConfigError: if the path ends neither in .csv nor in .parquet, or Parquet cannot be written here.
        ArtifactError: if the file cannot be written.
    """
    table = frame(records).sort_values(_ORDER, ignore_index=True)
    if path.suffix == ".csv":
        safe = table.map(lambda cell: inert(cell) if isinstance(cell, str) else cell)
        content = safe.to_csv(index=False, lineterminator="\n").encode()
    elif path.suffix == ".parquet":
        buffer = io.BytesIO()
        try:
            table.to_parquet(buffer, index=False)
        except ImportError as error:
            raise ConfigError(
                f"{path}: Parquet needs pyarrow: pip install '.[parquet]' in a checkout, or name a .csv"
            ) from error
        content = buffer.getvalue()
    else:
        raise ConfigError(f"{path}: the name must end in .csv or .parquet")
    write_atomically(path, content)
    return len(table)
