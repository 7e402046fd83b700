"""A ladder: what each choice adds on the way from one number to another, in the stated order and over all orders.

Not every mixture of two evaluations need have a number (ODIN's window may be empty on tied scores): orders that pass
such a mixture do not count.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

MOST_EXACT: Final = 8
"""Rungs up to which all orders count; beyond them, :data:`DRAWN` orders are drawn."""
DRAWN: Final = 200
Flipped = frozenset[int]
"""Numbers of the choices that are those of the ladder's end."""
_Value = Callable[[Flipped], float | None]
_Effects = dict[int, tuple[float | None, float | None, float | None]]


@dataclass(frozen=True)
class Choice:
    """What one rung changes.

    Attributes:
        name: of the choice.
        before: its value at the ladder's start, in words.
        after: its value at the end.
    """

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Rung:
    """One choice of a ladder, with what it adds.

    Attributes:
        choice: the choice.
        value: the number after this rung, in the stated order; none where the mixture has none.
        step: what it adds in the stated order; none where either number is missing.
        mean: its mean over orders (Shapley value); none where no order has all numbers.
        low: the least that it adds in any order.
        high: the most.
    """

    choice: Choice
    value: float | None
    step: float | None
    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Ladder:
    """The way from one number to another.

    Attributes:
        start: the number at the start, none if there is none.
        end: the number at the end, likewise.
        rungs: in the stated order.
        orders: how many orders the means are over.
        drawn: whether these were drawn.
        evaluations: number of mixtures whose numbers were computed.
    """

    start: float | None
    end: float | None
    rungs: tuple[Rung, ...]
    orders: int
    drawn: bool
    evaluations: int


def climb(choices: Sequence[Choice], value: _Value, seed: int = 0) -> Ladder:
    """Computes a ladder.

    Args:
        choices: in the order of the rungs.
        value: the number with those choices at the end's, none if it has none; asked once for each set.
        seed: of the orders that are drawn where more than :data:`MOST_EXACT` choices change the number.
    """
    known = functools.cache(value)
    count = len(choices)
    path = [known(frozenset(range(done))) for done in range(count + 1)]
    active = _active(count, known)
    drawn = len(active) > MOST_EXACT
    effects, orders = _of_drawn(active, known, seed) if drawn else _of_all(active, known)
    rungs = []
    for number, choice in enumerate(choices):
        before, after = path[number], path[number + 1]
        step = None if before is None or after is None else after - before
        mean, low, high = effects.get(number, (0.0, 0.0, 0.0) if orders else (None, None, None))
        rungs.append(Rung(choice, after, step, mean, low, high))
    return Ladder(path[0], path[-1], tuple(rungs), orders, drawn, known.cache_info().currsize)


def _active(count: int, value: _Value) -> list[int]:
    """The choices that change the number: all if they are few, else those that do so first, last or in their turn."""
    if count <= MOST_EXACT:
        return list(range(count))
    everything = frozenset(range(count))

    def changes(one: int) -> bool:
        pairs = [(frozenset(), {one}), (everything - {one}, everything), (range(one), range(one + 1))]
        return any(value(frozenset(before)) != value(frozenset(after)) for before, after in pairs)

    return [one for one in range(count) if changes(one)]


def _of_all(active: Sequence[int], value: _Value) -> tuple[_Effects, int]:
    """Mean, least and most of each choice over all orders in which every number exists, and how many these are."""
    sets = [frozenset(some) for size in range(len(active) + 1) for some in itertools.combinations(active, size)]
    numbers = {some: value(some) for some in sets}
    ways_in: dict[Flipped, int] = {}
    for some in sets:
        there = numbers[some] is not None
        ways_in[some] = there * (sum(ways_in[some - {one}] for one in some) if some else 1)
    ways_out: dict[Flipped, int] = {}
    for some in reversed(sets):
        there, left = numbers[some] is not None, [one for one in active if one not in some]
        ways_out[some] = there * (sum(ways_out[some | {one}] for one in left) if left else 1)
    orders = ways_out[frozenset()]
    effects: _Effects = {}
    for one in active if orders else ():
        weighed = [
            (ways_in[some] * ways_out[some | {one}], numbers[some | {one}] - numbers[some])  # type: ignore[operator]
            for some in sets
            if one not in some and ways_in[some] and ways_out[some | {one}]
        ]
        steps = [step for _, step in weighed]
        mean = math.fsum(weight * step for weight, step in weighed) / orders
        effects[one] = mean, min(steps), max(steps)
    return effects, orders


def _of_drawn(active: Sequence[int], value: _Value, seed: int) -> tuple[_Effects, int]:
    """The same over drawn orders."""
    random = np.random.default_rng(seed)
    steps: dict[int, list[float]] = {one: [] for one in active}
    orders = 0
    for _ in range(DRAWN):
        order = [active[place] for place in random.permutation(len(active))]
        path = [value(frozenset(order[:done])) for done in range(len(order) + 1)]
        whole = [number for number in path if number is not None]
        if len(whole) < len(path):
            continue
        orders += 1
        for one, before, after in zip(order, whole, whole[1:], strict=False):
            steps[one].append(after - before)
    if not orders:
        return {}, 0
    return {one: (math.fsum(found) / orders, min(found), max(found)) for one, found in steps.items()}, orders
