"""Records as a file for other programs: CSV, or Parquet with the extra ``parquet``."""

import io
from collections.abc import Iterable
from pathlib import Path

from ood_bench.errors import ConfigError
from ood_bench.results import Record, frame
from ood_bench.utils.files import write_atomically


def export(records: Iterable[Record], path: Path) -> int:
    """Writes :func:`~ood_bench.results.frame` of the records, sorted by names and seed; gives its number of rows.

    Raises:
        ConfigError: if the path ends neither in .csv nor in .parquet, or Parquet cannot be written here.
        ArtifactError: if the file cannot be written.
    """
    table = frame(sorted(records, key=_order))
    if path.suffix == ".csv":
        content = table.to_csv(index=False, lineterminator="\n").encode()
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


def _order(record: Record) -> tuple[str | int, ...]:
    names = record.id, record.model, record.protocol, record.method, record.variant, record.ood
    return *names, record.seed, record.cell_key
