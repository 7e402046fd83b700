"""The search among settings, against hand-made scores and slow curves."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector
from ood_bench.methods.grid import product
from ood_bench.scoring.engine import View
from ood_bench.tuning.search import FPR95, ID_MEAN, Choice, Rule, edges, id_mean_curve, refuse_id_only, search


@pytest.mark.parametrize(("best", "expected"), [("lowest", {"epsilon": 2}), ("highest", {"epsilon": 1})])
def test_the_first_of_the_best_wins(best, expected):
    settings = [{"epsilon": number} for number in range(5)]
    found = Rule("value", best).choose(settings, [3.0, 4.0, 1.0, 1.0, 4.0], {"a": 5}, "some rows")
    assert isinstance(found, Choice)
    assert (found.setting, found.tuned_on) == (expected, "some rows")
    assert found.record["seen"] == {"a": 5}
    assert found.record["curve"] == [[3.0], [4.0], [1.0], [1.0], [4.0]]
    assert found.record["candidates"] == settings


def test_a_single_candidate_needs_no_curve():
    found = Rule("value", "highest").choose([{"epsilon": 3}], [], {"a": 5}, "some rows")
    assert (found.setting, found.record["curve"], found.record["seen"]) == ({"epsilon": 3}, [], {"a": 5})


@dataclass
class Given(Detector):
    """The first pixel less what a magnitude takes off it."""

    magnitudes: list[float] = field(default_factory=lambda: [0.0])
    tunes_by_id = True

    def grid(self):
        return [{"epsilon": magnitude} for magnitude in self.magnitudes]

    def raw_scores(self, scorer, view, settings):
        rows = view.images.images[slice(None) if view.rows is None else view.rows, 0, 0, 0].astype(float)
        return np.stack([(rows * (1 - one["epsilon"]) ** 2)[:, None] for one in settings])


def pixels(name, *values):
    return ImageSet.of(name, np.array(values, dtype=np.uint8).reshape(-1, 1, 1, 1))


def test_id_rows_alone_take_the_highest_mean():
    view = View(pixels("inside", 1, 2, 30, 40), np.array([0, 1, 2]))
    found = search(Given([0.5, 0.0, 3.0, -1.0]), None, [view], "three rows")
    assert (found.setting, found.tuned_on) == ({"epsilon": 3.0}, "three rows")
    assert found.record["curve"] == [[11 * factor] for factor in (0.25, 1, 4, 4)]
    assert (found.record["objective"], found.record["seen"]) == (ID_MEAN.objective, {"inside": 3})


def test_rows_of_both_kinds_take_the_lowest_fpr():
    """A magnitude of 1 gives all images one score."""
    views = View(pixels("inside", *range(10, 30))), View(pixels("outside", 5, 12, 40, 9))
    found = search(Given([1.0, 0.0]), None, views, "rows")
    assert (found.setting, found.record["curve"]) == ({"epsilon": 0.0}, [[100.0], [50.0]])
    assert (found.record["objective"], found.record["seen"]) == (FPR95.objective, {"inside": 20, "outside": 4})


def test_nothing_is_looked_at_where_there_is_no_choice():
    assert search(Given([2.0]), None, [], "") == Choice({"epsilon": 2.0})


def test_means_of_batch_means_weigh_a_smaller_last_batch_more():
    view = View(pixels("inside", 0, 1, 2, 3, 14))
    plain, batches = (id_mean_curve(Given(), None, view, [{"epsilon": 0.0}], batch) for batch in (0, 3))
    assert plain == [(0 + 1 + 2 + 3 + 14) / 5]
    assert batches == [((0 + 1 + 2) / 3 + (3 + 14) / 2) / 2]


@pytest.mark.parametrize(
    ("method", "changes", "word"),
    [
        ("fssd", {"magnitudes": [0.1, 0.0]}, "which is best"),
        ("odin", {"temperatures": [1.0, 10.0]}, "which temperature is best"),
        ("eloc", {"temperatures": [1.0, 10.0], "magnitudes": [0.1, 0.0]}, "which temperature is best"),
    ],
)
def test_methods_whose_mean_score_says_nothing_are_refused(method, changes, word, toys):
    with pytest.raises(ConfigError, match=rf"method {method} has \d candidate settings, .* says nothing about {word}"):
        refuse_id_only(method, toys.detector(method, **changes))


def test_methods_with_nothing_to_choose_pass(toys):
    for method in toys.METHODS:
        refuse_id_only(method, toys.detector(method))


@pytest.mark.parametrize(
    ("best", "sentences"),
    [
        ({"k": [50], "share": 0.1}, []),
        ({"k": [10], "share": 0.2}, ["k 10 is at the edge of its grid, the smallest of 3 that were tried."]),
        ({"k": [100], "share": 0.2}, ["k 100 is at the edge of its grid, the largest of 3 that were tried."]),
        ({"k": [10, 50, 100], "share": 0.2}, []),  # k has no effect
    ],
)
def test_a_choice_at_the_edge_of_its_grid_is_said(best, sentences):
    """Two candidates have nothing but edges."""
    settings = product(k=[10, 100, 50], share=[0.1, 0.2])
    curve = [float(one["k"] in best["k"] and one["share"] == best["share"]) for one in settings]
    assert edges(settings, curve, settings[curve.index(1.0)]) == sentences
