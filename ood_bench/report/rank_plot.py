"""The plot of average ranks: which methods so many networks do not tell apart (a critical-difference diagram)."""

from collections.abc import Mapping

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ood_bench.report.plots import STYLE, files
from ood_bench.report.ranks import FOLDER, Ranking, stem
from ood_bench.utils.printable import printable

_DARK, _LIGHT = "#1f4e9c", "#9db4d8"


def of(found: Mapping[tuple[str, str], Ranking]) -> dict[str, bytes]:
    """The plot of every ranking by file name, as SVG and PNG; equal rankings give equal bytes."""
    with style.context(STYLE, after_reset=True):
        return files({f"{FOLDER}-{stem(*names)}": diagram(*names, ranking) for names, ranking in found.items()})


def diagram(protocol: str, images: str, ranking: Ranking) -> Figure:
    """A line a method, best first: its rank on every network, their mean, and bars that join methods not told apart.

    Unlike the usual diagram, names stand in one column, so that fifty methods are read as easily as five.
    """
    rows, groups = len(ranking.methods), ranking.groups
    figure = Figure(figsize=(6.6 + 0.13 * len(groups), 0.17 * rows + 1.9), layout="constrained")
    panel, bars = figure.subplots(1, 2, sharey=True, width_ratios=[5.0, 0.35 + 0.13 * len(groups)])
    _ranks(panel, ranking)
    for place, (first, last) in enumerate(groups):
        bars.plot([place, place], [first - 0.3, last + 0.3], color=_DARK, linewidth=2.6, solid_capstyle="butt")
    bars.set_xlim(-0.8, max(len(groups), 1) - 0.2)
    bars.set_axis_off()
    where = images or "all ID sets"
    figure.suptitle(
        f"Average ranks over {len(ranking.networks)} networks: {printable(where, keep='')}, protocol {protocol}\n"
        "large: average; small: each network; a bar joins methods that Nemenyi's test does not tell apart (5 %)",
        fontsize=8,
    )
    return figure


def _ranks(panel: Axes, ranking: Ranking) -> None:
    rows = len(ranking.methods)
    for place, ranks in enumerate(ranking.ranks):
        panel.plot(ranks, [place] * len(ranks), "|", color=_LIGHT, markersize=6, markeredgewidth=1.2)
    panel.plot(ranking.average, range(rows), "o", color=_DARK, markersize=4.5)
    end = min(1 + ranking.difference, rows)
    panel.plot([1, end], [-1.6, -1.6], color="#14171f", linewidth=1.2, marker="|", markersize=6)
    panel.text(1, -1.9, f"critical difference {ranking.difference:.2f}", fontsize=7.5, va="bottom")
    names = [
        f"{printable(name, keep='')}  {rank:.2f}" for name, rank in zip(ranking.methods, ranking.average, strict=True)
    ]
    panel.set_yticks(range(rows), names, fontsize=7.5)
    panel.set_ylim(rows - 0.5, -2.9)
    panel.set_xlim(0.3, rows + 0.7)
    panel.set_xlabel("rank, 1 is the best")
