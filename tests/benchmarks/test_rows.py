import numpy as np
import pytest

from benchmarks.lenet import lenet_rows
from benchmarks.ours import Ours
from benchmarks.rows import PAPER_GRID, SMALL_GRID, Bench
from benchmarks.subjects import fashion_images, fresh_lenet


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


def test_every_work_is_done_by_both_and_compared_or_said_to_be_lacking(rows):
    both = {name for name, row in rows.items() if row.theirs is not None}
    assert {"msp", "mahalanobis, 4 stages", "odin, grid of 2 x 3"} < both
    assert all((row.compare is not None, row.lacking) == (name in both, name not in both) for name, row in rows.items())


def test_the_limit_of_a_grid_counts_no_pass_for_the_setting_without_a_step(rows):
    assert rows["odin, grid of 2 x 3"].limit == 1 + 2 + 2 * 2


def test_limits_are_kept_in_mind(rows, tmp_path):
    """A change to a limit, or to what keeps it, is a decision."""
    limits = {name: row.limit for name, row in rows.items() if row.limit is not None}
    shared = next(name for name in rows if name.endswith("forward-only ones, cold store") and name.startswith("all"))
    warm = shared.replace("cold", "warm")
    assert limits == {"odin, one setting": 2.9, "odin, grid of 2 x 3": 7, shared: 1.3, warm: 0.1}
    images = fashion_images(24, tmp_path)
    lenet = lenet_rows(Ours(fresh_lenet(), images, tmp_path), images, tmp_path)
    assert [row.limit for row in lenet] == [1.3, 0.1, None]


def test_searched_grids_are_the_papers_and_openoods():
    temperatures, magnitudes = PAPER_GRID
    assert temperatures == (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
    assert magnitudes == pytest.approx([step / 5000 for step in range(21)], abs=1e-12)
    assert SMALL_GRID == ((1, 10, 100, 1000), (0.0014, 0.0028))


def test_without_pytorch_ood_the_same_rows_stand_alone(rows_with, rows):
    alone = rows_with(None)
    assert list(alone) == list(rows)
    assert all(row.theirs is None for row in alone.values())


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
