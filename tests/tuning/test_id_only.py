"""Choice by the mean ID score, against hand-made scores."""

import numpy as np
import pytest

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector
from ood_bench.tuning.search import IdOnly


class Given(Detector):
    """Scores that are written down: the image's number times the setting's slope, plus an extra for the last image."""

    tunes_by_id = True

    def __init__(self, slopes, extra=0.0):
        self.slopes, self.extra = slopes, extra

    def grid(self):
        return [{"epsilon": slope} for slope in self.slopes]

    def raw_scores(self, scorer, view, settings):
        rows = np.arange(len(view.images))[slice(None) if view.rows is None else view.rows]
        return np.array([[[one["epsilon"] * row + self.extra * (row == 4)] for row in rows] for one in settings])


def chosen(rule, given, toys):
    return rule.choose(given, None, toys.image_set("id", 12))


def test_the_highest_mean_wins(toys):
    choice = chosen(IdOnly(5), Given([0.5, 2.0, 1.0]), toys)
    assert choice.setting == {"epsilon": 2.0}
    assert choice.record["curve"] == [[1.0], [4.0], [2.0]]
    assert choice.record["seen"] == {"toy_id": 5}
    assert choice.tuned_on == "the first 5 rows of the ID test set; no OOD image"


def test_half_of_the_chosen_step_is_used_if_wanted(toys):
    choice = chosen(IdOnly(5, halve=True), Given([0.5, 2.0]), toys)
    assert choice.setting == {"epsilon": 1.0}
    assert choice.record["objective"].endswith("half of the chosen magnitude is used")


def test_means_of_batch_means_weigh_a_smaller_last_batch_more(toys):
    given = Given([1.0, 0.0], extra=10.0)
    plain, batches = (chosen(IdOnly(5, batch=batch), given, toys).record["curve"] for batch in (0, 3))
    assert plain == [[(0 + 1 + 2 + 3 + 14) / 5], [10 / 5]]
    assert batches == [[((0 + 1 + 2) / 3 + (3 + 14) / 2) / 2], [(0 + 10 / 2) / 2]]


def test_without_a_choice_nothing_is_seen_and_nothing_is_halved(toys):
    choice = chosen(IdOnly(5, halve=True), Given([3.0]), toys)
    assert (choice.setting, choice.tuned_on, choice.record) == ({"epsilon": 3.0}, "nothing", None)


def test_rows_that_are_seen_are_not_scored(toys):
    inside, outside = toys.image_set("id", 12), toys.image_set("blend", 7)
    rule = IdOnly(5)
    (seen,) = rule.seen(Given([0.5, 2.0]), inside)
    assert rule.seen(Given([0.5]), inside) == []
    scored, whole = rule.scored(inside, outside)
    assert (seen.rows.tolist(), scored.rows.tolist()) == ([0, 1, 2, 3, 4], [5, 6, 7, 8, 9, 10, 11])
    assert len(whole) == 7


@pytest.mark.parametrize("rows", [0, 12, 13])
def test_rows_must_leave_something_to_score(rows, toys):
    with pytest.raises(ConfigError, match=rf"protocol mine takes {rows} rows of toy_id, which has 12"):
        IdOnly(rows).check_sets("mine", toys.image_set("id", 12))
