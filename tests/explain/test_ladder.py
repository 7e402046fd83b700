"""Ladders of made-up numbers: sums, orders, ranges."""

import itertools
import statistics

import pytest

from ood_bench.explain.ladder import DRAWN, Choice, climb


def _choices(count: int) -> list[Choice]:
    return [Choice(f"choice {place}", "before", "after") for place in range(count)]


def _interacting(flipped: frozenset[int]) -> float:
    """10, and what 0, 1 and 2 add: 1 only beside 0, 2 twice as much beside 1."""
    return 10 + 3 * (0 in flipped) + 5 * ({0, 1} <= flipped) - 2 * (2 in flipped) * (1 + (1 in flipped))


def test_steps_are_those_of_the_stated_order_and_add_up():
    ladder = climb(_choices(3), _interacting)
    assert [rung.value for rung in ladder.rungs] == [13, 18, 14]
    assert [rung.step for rung in ladder.rungs] == [3, 5, -4]
    assert (ladder.start, ladder.end) == (10, 14)


def test_means_and_ranges_are_those_over_all_orders():
    ladder = climb(_choices(3), _interacting)
    for place, rung in enumerate(ladder.rungs):
        steps = []
        for order in itertools.permutations(range(3)):
            before = frozenset(order[: order.index(place)])
            steps.append(_interacting(before | {place}) - _interacting(before))
        assert rung.mean == pytest.approx(statistics.fmean(steps), abs=1e-12)
        assert (rung.low, rung.high) == (min(steps), max(steps))
    assert (ladder.orders, ladder.drawn, ladder.evaluations) == (6, False, 8)


@pytest.mark.parametrize("count", [1, 5, 8, 12])
def test_means_sum_to_the_whole_difference(count):
    def value(flipped: frozenset[int]) -> float:
        return sum((one + 1) ** 2 for one in flipped) + len(flipped) ** 3 / 7

    ladder = climb(_choices(count), value)
    assert sum(rung.mean for rung in ladder.rungs) == pytest.approx(value(frozenset(range(count))), abs=1e-9)
    assert ladder.drawn == (count > 8)
    assert ladder.orders == {1: 1, 5: 120, 8: 40320}.get(count, DRAWN)


def test_independent_choices_add_the_same_in_every_order():
    ladder = climb(_choices(4), lambda flipped: sum(2.0**one for one in flipped))
    assert [(rung.low, rung.mean, rung.high) for rung in ladder.rungs] == [(2.0**one,) * 3 for one in range(4)]


def test_more_than_eight_choices_are_exact_where_at_most_eight_change_the_number():
    ladder = climb(_choices(11), lambda flipped: _interacting(frozenset(one - 4 for one in flipped)))
    assert not ladder.drawn
    assert ladder.orders == 6
    assert [rung.mean for rung in ladder.rungs[:4] + ladder.rungs[7:]] == [0] * 8
    assert sum(rung.mean for rung in ladder.rungs) == pytest.approx(4)


def test_orders_through_a_mixture_without_a_number_do_not_count():
    ladder = climb(_choices(3), lambda flipped: None if flipped == {0} else _interacting(flipped))
    assert [rung.value for rung in ladder.rungs] == [None, 18, 14]
    assert [rung.step for rung in ladder.rungs] == [None, None, -4]
    assert ladder.orders == 4  # all but those that begin with choice 0
    assert sum(rung.mean for rung in ladder.rungs) == pytest.approx(4)


def test_no_order_at_all_has_no_means():
    ladder = climb(_choices(1), lambda flipped: None if flipped else 1.0)
    assert (ladder.end, ladder.orders, ladder.rungs[0].mean) == (None, 0, None)
