"""The curves of cost as one picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from benchmarks.growth import AXES, Curve

_COLUMNS = 4


def draw(curves: Mapping[str, Sequence[Curve]], path: Path) -> None:
    """Draws a panel for each axis, both of its scales logarithmic, with a dotted line for the growth that must be.

    Args:
        curves: by axis.
        path: an SVG file.
    """
    rows = -(-len(curves) // _COLUMNS)
    with mpl.rc_context({"svg.hashsalt": "growth", "svg.fonttype": "none", "font.size": 8}):
        figure = Figure(figsize=(3 * _COLUMNS, 2.7 * rows), layout="constrained")
        panels = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
        for panel, (axis, mine) in zip(panels, curves.items(), strict=False):
            many = len(mine) > 3
            for curve in mine:
                sizes, seconds = zip(*curve.seconds.items(), strict=True)
                style = {"color": "0.6", "linewidth": 0.7} if many else {"marker": "o", "markersize": 3}
                panel.plot(sizes, seconds, label=None if many else curve.name, **style)
            top = max(mine, key=lambda curve: list(curve.seconds.values())[-1])
            (size, last), smallest = list(top.seconds.items())[-1], min(top.seconds)
            lowest = last * (smallest / size) ** AXES[axis].must
            panel.plot([smallest, size], [lowest, last], ":", color="black", label="as it must", linewidth=1)
            panel.set(xscale="log", yscale="log", title=axis, ylabel="s")
            for scale in (panel.xaxis, panel.yaxis):
                scale.set_minor_formatter(NullFormatter())
            panel.legend(frameon=False, fontsize=7)
        for panel in panels[len(curves) :]:
            panel.set_axis_off()
        figure.savefig(path, format="svg", metadata={"Date": None})
