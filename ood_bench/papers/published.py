"""Reads the tables of published numbers that lie beside this file, and refuses a damaged one."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from ood_bench.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("paper", "table", "method", "model", "id_dataset", "ood_dataset", "metric", "value", "source")
RUNS = "runs"
"""A column that a file may have at its end."""
_FOLDER = Path(__file__).parent
_MEASURED = {"costs", "definitions"}  # are read by the modules of these names
_KEY = ["paper", "table", "method", "model", "id_dataset", "ood_dataset", "metric"]
_MAY_BE_EMPTY = {"ood_dataset"}


def available() -> list[str]:
    """Names that :func:`load` takes, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.csv") if path.stem not in _MEASURED)


def load(paper_csv: str, own: Path | None = None) -> "pd.DataFrame":
    """One table of published numbers, a row a number.

    Args:
        paper_csv: the file's name without ``.csv``, as in ``"fssd"``.
        own: a folder that comes before the shipped one, where it has such a file.

    Returns:
        The columns of the file (texts), with ``value`` as float64, mostly in percent, and two columns more:
        ``printed``, the value as the source prints it, for its number of decimals, and ``runs`` (int64), of how many
        runs it is the mean, 1 where the file does not say so.

    Raises:
        ConfigError: if there is no such table, or it does not follow the format.
    """
    return _load(file_of(paper_csv, own)).copy()


def file_of(paper_csv: str, own: Path | None = None) -> Path:
    """The file of that name in a folder of one's own, or else the shipped one; see :func:`load`."""
    path = _FOLDER / f"{paper_csv}.csv" if own is None else own / f"{paper_csv}.csv"
    return path if own is None or path.is_file() else file_of(paper_csv)


def select(
    csv: str,
    table: str,
    model: str,
    id: str,  # noqa: A002 - the word of the configs
    own: Path | None = None,
) -> "pd.DataFrame":
    """The rows of one block of a table: one model on one ID set.

    Args:
        csv: see :func:`load`.
        table: value of the column ``table``.
        model: value of the column ``model``.
        id: value of the column ``id_dataset``.
        own: see :func:`load`.

    Raises:
        ConfigError: if nothing matches; the message lists what there is.
    """
    rows = load(csv, own)
    for column, wanted in (("table", table), ("model", model), ("id_dataset", id)):
        there = sorted(set(rows[column]))
        rows = rows[rows[column] == wanted]
        if rows.empty:
            raise ConfigError(f"{csv}.csv has no {column} {wanted!r} here; there is {', '.join(there)}")
    return rows.reset_index(drop=True)


@functools.lru_cache(maxsize=32)
def _load(path: Path) -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415 - runs need none of it, and it takes long to import

    if not path.is_file():
        raise ConfigError(f"no published numbers named {path.stem!r}; there is {', '.join(available())}")
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    except ValueError as error:  # pandas' own parser errors are of this kind
        raise ConfigError(f"{path}: not a CSV file: {error}") from error
    if tuple(rows.columns) not in (COLUMNS, (*COLUMNS, RUNS)):
        raise ConfigError(f"{path}: columns are {', '.join(rows.columns)}, not {', '.join(COLUMNS)}")
    rows[RUNS] = rows[RUNS].replace("", "1") if RUNS in rows else "1"
    if bad := _lines(~rows[RUNS].str.fullmatch(r"[1-9]\d*")):
        raise ConfigError(f"{path}: runs is not a whole number above 0 in line {bad}")
    for column in COLUMNS:
        wrong = rows[column] != rows[column].str.strip()
        if column not in _MAY_BE_EMPTY:
            wrong |= rows[column] == ""
        if bad := _lines(wrong):
            raise ConfigError(f"{path}: {column} is empty or has spaces around it in line {bad}")
    if bad := _lines(~rows["value"].str.fullmatch(r"-?\d+(\.\d+)?")):
        raise ConfigError(f"{path}: value is not a plain decimal number in line {bad}")
    if bad := _lines(rows.duplicated(_KEY, keep=False)):
        raise ConfigError(f"{path}: the same number is given twice, in lines {bad}")
    rows["printed"] = rows["value"]
    rows["value"] = rows["value"].astype("float64")
    rows[RUNS] = rows[RUNS].astype("int64")
    return rows


def _lines(wrong: "pd.Series[bool]") -> str:
    """Line numbers in the file (the header is line 1) where ``wrong`` holds, at most five; empty for none."""
    lines = [str(position + 2) for position, bad in enumerate(wrong) if bad]
    return ", ".join(lines[:5]) + (" and more" if len(lines) > 5 else "")
