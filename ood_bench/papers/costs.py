"""What methods cost to score in forward passes, as measured once: ``costs.csv`` beside this file.

``python -m benchmarks.costs`` makes it.
"""

import csv
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("costs.csv")


class Cost(NamedTuple):
    """The cost of one method with its shipped settings.

    Attributes:
        method: config name.
        passes: processor time of scoring and metrics without intervals, in bare forward passes over the scored images;
            the one pass that methods share is in it, what a method learns from is not.
        subject: network and images.
        cpu: processor.
    """

    method: str
    passes: float
    subject: str
    cpu: str


def as_text(costs: Iterable[Cost]) -> str:
    """The file's content."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Cost._fields)
    writer.writerows(one._replace(passes=round(one.passes, 3)) for one in costs)
    return text.getvalue()


def costs() -> dict[str, Cost]:
    """What was measured, by method."""
    with FILE.open(newline="") as file:
        rows = csv.DictReader(file)
        return {row["method"]: Cost(row["method"], float(row["passes"]), row["subject"], row["cpu"]) for row in rows}
