import io

import numpy as np
import pytest
from rich.console import Console

from benchmarks.agreement import agreement
from benchmarks.clock import Step, Timing
from benchmarks.report import agreement_table, further_methods, speed_table
from benchmarks.rows import Row

STEP = Step(lambda: None, 1)
ROWS = [
    Row("both", STEP, STEP, 2.9, lambda mine, other: agreement(mine, other, tolerance=0.1, why="rounding")),
    Row("ours alone", STEP, lacking=True),
    Row("not installed", STEP, compare=lambda mine, other: agreement(mine, other, tolerance=0.1)),
]
OURS = {row.name: Timing([0.5, 0.7, 0.6], [1.0, 4.0, 2.0], np.array([0.0, 1.0])) for row in ROWS}
THEIRS = {"both": Timing([1.0, 1.0, 1.0], [3.0, 6.0, 5.0], np.array([0.0, 1.05]))}


@pytest.fixture
def shown():
    """Prints a table to a wide page and gives its lines, each as a list of cells."""

    def show(table):
        console = Console(file=(page := io.StringIO()), width=300)
        console.print(table)
        return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in page.getvalue().splitlines()]

    return show


def test_a_row_holds_medians_and_both_ranges(shown):
    lines = shown(speed_table("title", ROWS, OURS, THEIRS, beside="other 1.0"))
    heading = ["work", "s", "ours", "range", "limit", "other 1.0", "range", "theirs / ours"]
    row = ["both", "0.600", "2.000", "1.000 to 4.000", "2.9", "5.000", "3.000 to 6.000", "2.50"]
    assert heading in lines
    assert row in lines  # 2.50 is the median of 3 / 1, 6 / 4 and 5 / 2


def test_what_the_other_library_lacks_is_told_from_what_is_not_installed(shown):
    lines = shown(speed_table("title", ROWS, OURS, {}, beside="other"))
    numbers = ["0.600", "2.000", "1.000 to 4.000"]
    assert ["ours alone", *numbers, "-", "has none", "-", "-"] in lines
    assert ["not installed", *numbers, "-", "-", "-", "-"] in lines


def test_agreement_is_shown_where_both_scored(shown):
    lines = shown(agreement_table(ROWS, OURS, THEIRS))
    rows = [line for line in lines if line and line[0] in OURS]
    assert rows == [["both", "5.0e-02 of the range", "1.000000", "agree", "rounding"]]


def test_what_further_methods_add():
    rows = [Row("msp", STEP), Row("all", STEP, further=10)]
    timings = {"msp": Timing(ratios=[1.0, 1.25, 1.125]), "all": Timing(ratios=[1.5, 1.5, 1.75])}
    assert "Each of the 10 forward-only methods beyond msp adds 0.037 passes" in further_methods(rows, timings)
