"""Results of no paper as a plot: every method's mean over its OOD sets, by kind of ID images."""

import statistics
import textwrap
from collections.abc import Mapping

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ood_bench.report.format import metric_title
from ood_bench.report.plots import STYLE, files
from ood_bench.report.rows import Row, Stat
from ood_bench.report.sections import Section
from ood_bench.results.record_store import slug
from ood_bench.utils.printable import printable

PREFIX = "own-"
"""How the names of these files begin."""
_MOST_METHODS = 60
_TITLE = 48
_Lines = Mapping[str, Mapping[str, Stat]]
"""Numbers by method and OOD set."""


def name(section: Section) -> str:
    """The beginning of a section's file names."""
    return PREFIX + slug(f"{section.id} {section.model} {section.protocol}")


def _by_images(section: Section) -> Mapping[str, _Lines]:
    metric = section.metrics[0]
    found: dict[str, dict[str, dict[str, Stat]]] = {}
    for row in section.ran:
        if (stat := row.stat(metric)) is not None:
            found.setdefault(row.id_title, {}).setdefault(row.label, {})[_set(row, section)] = stat
    return found


def _set(row: Row, section: Section) -> str:
    """The OOD set's short name where that is enough."""
    titles = {one.ood_title for one in section.ran if one.ood == row.ood and one.id_title == row.id_title}
    return row.ood if len(titles) == 1 else row.ood_title


def _sets(lines: _Lines) -> list[str]:
    return list(dict.fromkeys(one for line in lines.values() for one in line))


def plots(section: Section) -> dict[str, bytes]:
    """Every method's mean over its OOD sets (dots) and the sets (marks), by the end of the file's name."""
    found = _by_images(section)
    with style.context(STYLE, after_reset=True):  # whatever a user's own matplotlibrc says
        shown = {title: dict(list(lines.items())[:_MOST_METHODS]) for title, lines in found.items()}
        count = max(map(len, shown.values()))
        figure = Figure(figsize=(4.6 * len(shown) + 1.4, 0.26 * count + 1.8), layout="constrained")
        panels = figure.subplots(1, len(shown), squeeze=False)[0]
        for panel, (title, lines) in zip(panels, shown.items(), strict=True):
            _draw(panel, title, lines)
            panel.set_xlabel(f"{metric_title(section.metrics[0])}, percent")
        known = {
            label: line for panel in panels for line, label in zip(*panel.get_legend_handles_labels(), strict=True)
        }
        figure.legend(known.values(), known.keys(), fontsize=7, loc="outside lower center", ncols=4)
        figure.suptitle(printable(f"{section.title}: means over OOD sets (dots) and sets", keep=""), fontsize=9)
        return files({"means": figure})


def _draw(panel: Axes, title: str, lines: _Lines) -> None:
    sets = _sets(lines)
    for marker, one in zip("^v<>sDPX*hd" * len(sets), sets, strict=False):
        places = [place for place, line in enumerate(lines.values()) if one in line]
        values = [line[one].mean for line in lines.values() if one in line]
        panel.plot(values, places, marker, markersize=4, alpha=0.6, label=printable(one, keep=""))
    for place, line in enumerate(lines.values()):
        if len(line) < len(sets):
            continue  # a mean over other sets than those of the methods beside it
        panel.plot([statistics.fmean(stat.mean for stat in line.values())], [place], "o", color="#14171f", markersize=6)
    panel.set_yticks(range(len(lines)), [printable(label, keep="") for label in lines])
    panel.set_ylim(len(lines) - 0.5, -0.5)
    panel.set_title(textwrap.fill(printable(title, keep=""), _TITLE), fontsize=8)
