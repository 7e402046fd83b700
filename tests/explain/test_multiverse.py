"""All conventions on the same scores."""

import numpy as np
import pytest

from ood_bench.explain.multiverse import defensible, multiverse, smaller_is_better
from ood_bench.explain.ranked import Ranked
from ood_bench.explain.rules import METRICS, name_in, rules_of
from ood_bench.metrics import MetricError, evaluate

_ODIN = {"row": "msp", "classes": 10, "grid": "data"}


@pytest.mark.parametrize("metric", ["fpr95", "auroc", "aupr_in", "aupr_out", "detection_error"])
def test_every_papers_convention_is_among_the_defensible_ones(metric):
    found = defensible(metric)
    assert len(set(found)) == len(found)
    for convention in METRICS:
        try:
            name = name_in(convention, metric)
        except MetricError:
            continue
        assert rules_of(convention, name, _ODIN) in found, convention


def test_ranges_and_changed_places():
    """One method is better at the ID end, the other at the OOD end: the positive class decides which is ahead."""
    random = np.random.default_rng(3)
    ids, oods = random.normal(2, 1, 400), random.normal(0, 1, 400)
    first = np.where(random.random(400) < 0.06, -6.0, ids), oods  # a few ID rows are far below everything
    second = ids, np.where(random.random(400) < 0.06, 8.0, oods)  # a few OOD rows are far above everything
    found = multiverse({"first": [{"float64": Ranked(*first)}], "second": [{"float64": Ranked(*second)}]}, "fpr95")
    exact = [universe.rules for universe in found.universes].index(rules_of("exact", "fpr95"))
    for name, scores in (("first", first), ("second", second)):
        assert found.values[name][exact] == evaluate("exact", *scores)["fpr95"]
        curve = found.curve(name)
        assert curve == sorted(curve)
        numbers = evaluate("exact", *scores)
        assert curve[0] <= min(numbers["fpr95"], numbers["fpr95_ood_positive"])
        assert curve[-1] >= max(numbers["fpr95"], numbers["fpr95_ood_positive"])
    (swap,) = found.swaps()
    assert min(swap.ahead, swap.behind) > 0
    both = [None not in pair for pair in zip(*found.values.values(), strict=True)]
    assert swap.ahead + swap.behind + swap.level == sum(both)


def test_numbers_are_means_over_cells_and_none_where_a_cell_has_none():
    random = np.random.default_rng(0)
    cells = [Ranked(random.normal(1, 1, 200), random.normal(0, 1, 100)) for _ in range(2)]
    few = Ranked([3.0, 2.0, 1.0], [0.0])  # no point within ODIN's window
    found = multiverse({"both": [{"float64": one} for one in cells], "few": [{"float64": few}]}, "fpr95")
    exact = [universe.rules for universe in found.universes].index(rules_of("exact", "fpr95"))
    single = [evaluate("exact", one.ids, one.oods)["fpr95"] for one in cells]
    assert found.values["both"][exact] == pytest.approx(np.mean(single))
    windows = [
        value for value, one in zip(found.values["few"], found.universes, strict=True) if one.rules.cut == "window"
    ]
    assert set(windows) == {None}


def test_which_end_of_a_metric_is_better():
    names = ("fpr95", "tnr95", "auroc", "detection_error", "detection_accuracy", "fpr95_ood_positive")
    assert [smaller_is_better(name) for name in names] == [True, False, False, True, False, True]
