"""Ladders as waterfall charts, and ranges over all conventions as a chart of ordered values."""

from collections.abc import Mapping, Sequence

from matplotlib import style
from matplotlib.figure import Figure

from ood_bench.explain.explanation import Explanation
from ood_bench.report.format import metric_title
from ood_bench.report.plots import STYLE, files
from ood_bench.utils.printable import printable

_TOTAL, _UP, _DOWN, _PAPER = "#1f4e9c", "#c2410c", "#12805c", "#14171f"


def waterfall(one: Explanation) -> dict[str, bytes]:
    """The ladder as SVG and PNG, by the ending of the file's name."""
    with style.context(STYLE, after_reset=True):
        return {name.removeprefix("."): content for name, content in files({"": _waterfall(one)}).items()}


def _waterfall(one: Explanation) -> Figure:
    ladder = one.ladder
    names = [one.start, *(rung.choice.name for rung in ladder.rungs), one.end]
    figure = Figure(figsize=(7.0, 0.34 * len(names) + 1.3), layout="constrained")
    panel = figure.add_subplot()
    before = ladder.start
    for place, rung in enumerate(ladder.rungs, 1):
        if before is not None and rung.value is not None:
            step = rung.value - before
            panel.barh(place, step, left=before, color=_UP if step > 0 else _DOWN, height=0.6)
            panel.annotate(
                f"{step:+.2f}",
                (max(before, rung.value), place),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        before = rung.value if rung.value is not None else before
    for place, number in ((0, ladder.start), (len(names) - 1, ladder.end)):
        if number is not None:
            panel.plot([number], [place], marker="D", color=_TOTAL)
            panel.annotate(
                f"{number:.2f}", (number, place), (6, 0), textcoords="offset points", va="center", fontsize=8
            )
    if one.unexplained is not None:
        panel.axvline(float(one.unexplained.printed), color=_PAPER, linewidth=1, linestyle="--", label="published")
        panel.legend(fontsize=8)
    panel.set_yticks(range(len(names)), [printable(name, keep="") for name in names])
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.use_sticky_edges = False
    panel.margins(x=0.15)
    panel.set_xlabel(f"{metric_title(one.metric)}, percent")
    figure.suptitle(printable(one.title, keep=""), fontsize=9)
    return figure


def curves(values: Mapping[str, Sequence[float]], metric: str, title: str) -> dict[str, bytes]:
    """Each method's numbers under all conventions, ordered, as SVG and PNG, by the ending of the file's name."""
    with style.context(STYLE, after_reset=True):
        figure = Figure(figsize=(7.0, 4.2), layout="constrained")
        panel = figure.add_subplot()
        for name, numbers in values.items():
            ordered = sorted(numbers)
            share = [(place + 0.5) / len(ordered) for place in range(len(ordered))]
            panel.plot(share, ordered, drawstyle="steps-mid", linewidth=1.2, label=printable(name, keep=""))
        panel.set(xlabel="share of conventions", ylabel=f"{metric_title(metric)}, percent", xlim=(0, 1))
        if len(values) <= 12:
            panel.legend(fontsize=7)
        figure.suptitle(printable(title, keep=""), fontsize=9)
        return {name.removeprefix("."): content for name, content in files({"": figure}).items()}
