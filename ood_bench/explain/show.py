"""A ladder as text of 80 columns, with a waterfall of plain characters, and as JSON."""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ood_bench.explain.explanation import Explanation, Missing
from ood_bench.explain.ladder import Rung
from ood_bench.report.format import metric_title

WIDTH = 80
_NAME, _BAR = 30, 40


def text(one: Explanation) -> str:
    """The whole explanation."""
    metric = metric_title(one.metric)
    if one.metric_there != one.metric:
        metric += f" (there {metric_title(one.metric_there)})"
    ladder = one.ladder
    parts = [
        *_wrapped(one.title, "", ""),
        *_wrapped(f"{metric}, percent: {one.start} -> {one.end}", "", "  "),
        "",
        f"{'rung':{_NAME}} {'number':>8} {'step':>8}   mean over orders [min, max]",
        f"{_cut(one.start):{_NAME}} {_number(ladder.start)}",
    ]
    for place, rung in enumerate(ladder.rungs, 1):
        parts += _rung(place, rung)
    orders = f"{ladder.orders} drawn" if ladder.drawn else f"all {ladder.orders}"
    parts += ["", *waterfall(one), "", f"Rungs stand in the order computed; means are over {orders} orders."]
    for kept in one.recorded:
        said = {True: "the same number", False: "ANOTHER NUMBER", None: "a choice above could not be computed"}
        parts += _wrapped(f"record, {kept.title}: {kept.value:.4f} ({said[kept.agrees]})", "", "  ")
    parts += _left(one)
    if one.missing:
        parts += ["", "Not computed:", *(line for gap in one.missing for line in _gap(gap))]
    return "\n".join(parts) + "\n"


def _rung(place: int, rung: Rung) -> list[str]:
    name = f"{place:2} {_cut(rung.choice.name, _NAME - 3)}"
    mean = ""
    if rung.mean is not None and rung.low is not None and rung.high is not None:
        mean = f"   {_signed(rung.mean)} [{_signed(rung.low)}, {_signed(rung.high)}]"
    step = f"{'-':>8}" if rung.step is None else f"{_signed(rung.step):>8}"
    return [
        f"{name:{_NAME}} {_number(rung.value)} {step}{mean}",
        *_wrapped(f"{rung.choice.before} -> {rung.choice.after}", "     ", "       "),
    ]


def waterfall(one: Explanation) -> list[str]:
    """Bars of plain characters: ``#`` for numbers, ``+`` and ``-`` for what a rung adds."""
    numbers = [
        number for number in (one.ladder.start, *(rung.value for rung in one.ladder.rungs)) if number is not None
    ]
    if not numbers:
        return []
    low, high = _bounds(numbers)
    scale = _BAR / (high - low)

    def bar(first: float, last: float, mark: str) -> str:
        start, end = (round((min(100, max(0, end)) - low) * scale) for end in sorted((first, last)))
        return " " * start + mark * max(end - start, 1 if first != last else 0)

    lines = [f"{'':{_NAME}} {low:<{_BAR // 2}g}{high:>{_BAR - _BAR // 2}g}"]
    lines.append(f"{_cut(one.start):{_NAME}}|{bar(low, one.ladder.start or low, '#')}")
    before = one.ladder.start
    for rung in one.ladder.rungs:
        if before is not None and rung.value is not None and rung.value != before:
            mark = "+" if rung.value > before else "-"
            lines.append(f"{_cut(rung.choice.name):{_NAME}}|{bar(before, rung.value, mark)} {rung.value - before:+.2f}")
        before = rung.value if rung.value is not None else before
    lines.append(f"{_cut(one.end):{_NAME}}|{bar(low, one.ladder.end or low, '#')}")
    return lines


def _bounds(numbers: Sequence[float]) -> tuple[float, float]:
    """A round scale around numbers that leaves a quarter of its width below them."""
    low, high = min(numbers), max(numbers)
    room = max((high - low) / 3, 1.0)
    return max(0.0, float(int(low - room))), min(100.0, float(int(high + 1)))


def _left(one: Explanation) -> list[str]:
    left = one.unexplained
    if left is None:
        return []
    if left.chance is None:
        chance = "chance unknown: one network"
    else:
        chance = f"by chance up to {left.chance:.2f}: {left.networks} networks, std {left.std:.2f}"
    return _wrapped(f"published: {left.printed}; unexplained: {_signed(left.difference)} ({chance})", "", "  ")


def _gap(gap: Missing) -> list[str]:
    cost = ""
    if gap.images:
        cost = f" one pass over {gap.images:,} images" + (
            "" if gap.seconds is None else f", about {gap.seconds:.0f} s at this network's measured rate"
        )
    return _wrapped(f"{gap.name}: {gap.why}{cost}", "  ", "    ")


def block_table(explained: Sequence[Explanation]) -> str:
    """One line a cell: start, step of each rung by its number, end, published, unexplained; then the rungs' names."""
    names = list(dict.fromkeys(rung.choice.name for one in explained for rung in one.ladder.rungs))
    lines = [
        f"{'cell':{_NAME}} {'start':>7} "
        + " ".join(f"{place:>6}" for place in range(1, len(names) + 1))
        + "     end   paper    left"
    ]
    for one in explained:
        steps = {rung.choice.name: rung.step for rung in one.ladder.rungs}
        cells = " ".join(f"{'.' if (step := steps.get(name)) is None else _signed(step):>6}" for name in names)
        left = one.unexplained
        end = f"{'-':>7} {'-':>7}" if left is None else f"{left.printed:>7} {_signed(left.difference):>7}"
        title = _cut(one.title.partition(", ")[0])
        lines.append(f"{title:{_NAME}} {_number(one.ladder.start, 7)} {cells} {_number(one.ladder.end, 7)} {end}")
    lines += ["", *(f"{place:2} {name}" for place, name in enumerate(names, 1))]
    return "\n".join(lines) + "\n"


def as_json(one: Explanation) -> dict[str, Any]:
    """Everything, JSON-able; words are whole."""
    return asdict(one)


def _number(value: float | None, width: int = 8) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:{width}.2f}"


def _signed(value: float) -> str:
    """Two decimals with a sign; what rounds to 0 has a plus."""
    return f"{value:+.2f}".replace("-0.00", "+0.00")


def _cut(words: str, width: int = _NAME - 1) -> str:
    return words if len(words) <= width else f"{words[: width - 3]}..."


def _wrapped(words: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(words, WIDTH, initial_indent=first, subsequent_indent=rest) or [first]
