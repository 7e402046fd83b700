"""Flags on published numbers: what speaks against comparing with them, as data in ``flags/NAME.csv``."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, Literal, get_args

from ood_bench.errors import ConfigError
from ood_bench.papers.published import load

FOLDER: Final = Path(__file__).with_name("flags")
PATTERNS: Final = ("table", "method", "model", "id_dataset", "ood_dataset", "metric")
Kind = Literal["self-reported", "wrong split", "tuned", "edge of grid", "std of 0.00", "disputed"]
Compare = Literal["yes", "no", "tuned"]


@dataclass(frozen=True)
class Flag:
    """One thing that is known against some published numbers.

    Attributes:
        patterns: of what it concerns, one for each of :data:`PATTERNS`, ``*`` for anything.
        kind: which flag.
        compare: whether a verdict still compares with such a number: ``tuned`` only where ours was tuned, too.
        reason: why, with where it is known from.
    """

    patterns: tuple[str, ...]
    kind: Kind
    compare: Compare
    reason: str

    def concerns(self, cell: Mapping[str, Any]) -> bool:
        """Whether a published number is meant, given by the columns of its file."""
        return all(fnmatchcase(str(cell[name]), pattern) for name, pattern in zip(PATTERNS, self.patterns, strict=True))


@functools.cache
def flags(csv: str) -> tuple[Flag, ...]:
    """The flags on the numbers of one file, in order; none for most files.

    Raises:
        ConfigError: if the file of flags does not follow the format.
    """
    path = FOLDER / f"{csv}.csv"
    if not path.is_file():
        return ()
    import pandas as pd  # noqa: PLC0415 - runs need none of it, and it takes long to import

    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    if tuple(rows.columns) != (*PATTERNS, "flag", "compare", "reason"):
        raise ConfigError(f"{path}: columns are {', '.join(rows.columns)}")
    found = []
    for line, row in enumerate(rows.to_dict("records"), 2):
        if row["flag"] not in get_args(Kind) or row["compare"] not in get_args(Compare) or not row["reason"]:
            raise ConfigError(f"{path}, line {line}: unknown flag or compare, or no reason")
        patterns = tuple(row[name] or "*" for name in PATTERNS)
        found.append(Flag(patterns, row["flag"], row["compare"], row["reason"]))
    return tuple(found)


def flagged(csv: str) -> Iterator[tuple[dict[str, Any], list[Flag]]]:
    """Every published number of a file that has flags, as its columns, with them."""
    for row in load(csv).to_dict("records"):
        cell = {str(name): value for name, value in row.items()}
        if mine := [flag for flag in flags(csv) if flag.concerns(cell)]:
            yield cell, mine
