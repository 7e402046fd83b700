"""Why a number differs, as the page's data: ladders of cells, and methods under all conventions."""

from collections.abc import Sequence
from typing import Any

from ood_bench.report.explanations import Explained, Missing, Multiverse, Rung, Unexplained
from ood_bench.report.format import metric_title, number

_MOST_PAIRS = 10


def ladder(one: Explained) -> dict[str, Any]:
    """A ladder; numbers are texts, as ``ood-bench explain`` prints them."""
    there = f" (there {metric_title(one.metric_there)})" if one.metric_there != one.metric else ""
    orders = f"{one.ladder.orders} drawn orders" if one.ladder.drawn else f"all {one.ladder.orders} orders"
    return {
        "title": one.title,
        "metric": metric_title(one.metric) + there,
        "from": [one.start, _text(one.ladder.start)],
        "to": [one.end, _text(one.ladder.end)],
        "rungs": [_rung(rung) for rung in one.ladder.rungs],
        "orders": "the only order" if one.ladder.orders == 1 else orders,
        "recorded": [[kept.title, number(kept.value, 2), kept.agrees] for kept in one.recorded],
        "left": one.unexplained and _left(one.unexplained),
        "missing": [_missing(gap) for gap in one.missing],
    }


def _rung(rung: Rung) -> list[str]:
    numbers = [_text(rung.value), _text(rung.step, True)]
    over_orders = [_text(value, True) for value in (rung.mean, rung.low, rung.high)]
    return [rung.choice.name, rung.choice.before, rung.choice.after, *numbers, *over_orders]


def _left(left: Unexplained) -> dict[str, Any]:
    if left.chance is None or left.std is None:
        chance = "chance unknown: one network"
    else:
        chance = f"by chance up to {left.chance:.2f}: {left.networks} networks, std {left.std:.2f}"
    return {"printed": left.printed, "difference": _text(left.difference, True), "chance": chance}


def _missing(gap: Missing) -> str:
    cost = f" one pass over {gap.images:,} images" if gap.images else ""
    rate = f", about {gap.seconds:.0f} s at this network's measured rate" if gap.seconds is not None else ""
    return f"{gap.name}: {gap.why}{cost}{rate}"


def _text(value: float | None, sign: bool = False) -> str:
    """Two decimals; empty where there is no number."""
    return "" if value is None else number(value, 2, sign)


def multiverse(one: Multiverse) -> dict[str, Any]:
    """Each method's range, widest first, and the pairs that change places most often."""
    methods = []
    for name, values in one.values.items():
        if known := sorted(value for value in values if value is not None):
            least, middle, most = known[0], known[len(known) // 2], known[-1]
            methods.append((most - least, [name, len(known), *(number(each, 2) for each in (least, middle, most))]))
    changing = [pair for pair in one.pairs if pair.behind]
    return {
        "title": one.title,
        "metric": metric_title(one.metric),
        "conventions": max(map(len, one.values.values()), default=0),
        "methods": [line for _, line in sorted(methods, key=lambda each: (-each[0], each[1]))],
        "pairs": [len(one.pairs), len(changing)],
        "changing": [[pair.first, pair.second, pair.ahead, pair.behind, pair.level] for pair in changing[:_MOST_PAIRS]],
    }


def ladders(found: Sequence[Explained]) -> list[dict[str, Any]]:
    """Several ladders, in order."""
    return [ladder(one) for one in found]
