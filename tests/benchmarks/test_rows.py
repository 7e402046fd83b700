import numpy as np
import pytest

from benchmarks.ours import Ours
from benchmarks.rows import PAPER_GRID, SMALL_GRID, Bench

BOTH = [
    "msp",
    "energy",
    "mahalanobis",
    "mahalanobis, 4 stages",
    "odin, one setting",
    "mahalanobis with step",
    "odin, grid of 2 x 3",
    "table of these 4 forward-only ones, 2 OOD sets, cold store",
    "table of these 4 forward-only ones, 2 OOD sets, warm store",
    "table of these 6 methods, 2 OOD sets, cold store",
    "table of these 6 methods, 2 OOD sets, warm store",
    "metrics of 60 + 60 rows",
]


@pytest.fixture(scope="module")
def rows_with(subject, tmp_path_factory):
    """Makes the rows with the smallest grid, with or without pytorch-ood."""

    def make(theirs):
        folder = tmp_path_factory.mktemp("bench")
        ours = Ours(subject.classifier, subject.train, folder)
        return {
            row.name: row for row in Bench(subject, ours, theirs, folder, ((1, 1000), (0, 0.002, 0.004)), 4, 60).rows()
        }

    return make


@pytest.fixture(scope="module")
def rows(rows_with, theirs):
    return rows_with(theirs)


def test_every_work_that_both_do_stands_beside_the_other(rows):
    assert [name for name, row in rows.items() if row.theirs is not None] == BOTH
    assert all(rows[name].compare is not None for name in BOTH)


def test_what_pytorch_ood_lacks_is_said_to_be_lacking(rows):
    alone = [name for name, row in rows.items() if row.lacking]
    assert set(rows) == {*BOTH, *alone}
    assert any(name.startswith("feature_norm of all 9 blocks") for name in alone)
    assert sum("forward-only ones, " in name for name in alone) == 2
    assert any("1,000-fold intervals" in name for name in alone)


def test_without_pytorch_ood_the_same_rows_stand_alone(rows_with, rows):
    alone = rows_with(None)
    assert list(alone) == list(rows)
    assert all(row.theirs is None for row in alone.values())


def test_limits_are_those_of_the_project(rows):
    limits = {name: row.limit for name, row in rows.items() if row.limit is not None}
    assert limits.pop("odin, one setting") == 2.9
    assert limits.pop("odin, grid of 2 x 3") == 1 + 2 + 2 * 2  # the setting without a step needs no pass of its own
    assert sorted(limits.values()) == [0.1, 1.3]


def test_work_over_several_sets_is_counted_in_passes_over_all_of_them(rows):
    assert rows["msp"].ours.images == rows["msp"].theirs.images == 6
    assert rows["table of these 6 methods, 2 OOD sets, cold store"].ours.images == 18
    assert rows["metrics of 60 + 60 rows"].ours.images == 120
    assert rows["odin, grid of 2 x 3"].ours.slow


@pytest.mark.parametrize(
    "name", ["msp", "energy", "odin, one setting", "odin, grid of 2 x 3", "metrics of 60 + 60 rows"]
)
def test_both_find_the_same(rows, name):
    row = rows[name]
    found = row.compare(row.ours.run(), row.theirs.run())
    assert found.verdict != "DIFFER"
    assert found.difference < 1e-4


def test_warm_tables_are_those_of_cold_ones(rows):
    name = "table of these 6 methods, 2 OOD sets, "
    cold, warm = rows[f"{name}cold store"], rows[f"{name}warm store"]
    np.testing.assert_array_equal(cold.ours.run(), warm.ours.run())
    np.testing.assert_allclose(cold.theirs.run(), warm.theirs.run())


def test_the_grids():
    assert [len(part) for part in PAPER_GRID] == [10, 21]
    assert PAPER_GRID[1][:3] == [0.0, 0.0002, 0.0004]
    assert PAPER_GRID[1][-1] == 0.004
    assert [len(part) for part in SMALL_GRID] == [4, 2]
