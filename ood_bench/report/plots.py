"""Plots of a paper's block as SVG and PNG files, equal bytes for equal records (and equal matplotlib)."""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ood_bench.report.format import metric_title
from ood_bench.report.page.sections import Section
from ood_bench.report.rows import Row
from ood_bench.report.verdicts import Verdict, judge
from ood_bench.results import Record
from ood_bench.results.details import Details

COLOURS = {
    Verdict.WITHIN: "#12805c",
    Verdict.BETTER: "#2563c9",
    Verdict.WORSE: "#c2410c",
    Verdict.INCOMPARABLE: "#8b93a1",
    Verdict.NOT_RUN: "#8b93a1",
}
_STYLE: Final[dict[Any, Any]] = {
    "svg.hashsalt": "ood-bench",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e2e6ed",
    "axes.axisbelow": True,
    "axes.edgecolor": "#8b93a1",
    "legend.frameon": False,
    "path.simplify": False,
}
_DPI = 160
_STEP = "epsilon"


def of(section: Section, details: Mapping[str, Details]) -> dict[str, bytes]:
    """Every plot that the records give, by the end of its file name (``comparison.svg``).

    Args:
        section: a paper's block of which at least one row was run.
        details: by cell key, for the cells that have some.
    """
    with mpl.rc_context():
        mpl.rcdefaults()  # a user's own matplotlibrc must not change the files
        mpl.rcParams.update(_STYLE)
        figures = {"comparison": comparison(section)}
        ran = [row for row in section.rows if row.records]
        for ood in dict.fromkeys(row.ood for row in ran):
            mine = [row for row in ran if row.ood == ood]
            figures |= {f"roc-{ood}": made} if (made := curves(mine, details)) else {}
            figures |= {f"epsilon-{ood}": made} if (made := search(mine)) else {}
        return {f"{name}.{kind}": _saved(figure, kind) for name, figure in figures.items() for kind in ("svg", "png")}


def _saved(figure: Figure, kind: str) -> bytes:
    """The figure's file without date and version, which would differ from day to day."""
    buffer = io.BytesIO()
    metadata = {"Date": None, "Creator": "ood-bench"} if kind == "svg" else {"Software": None}
    figure.savefig(buffer, format=kind, dpi=_DPI, metadata=metadata)
    return buffer.getvalue()


def comparison(section: Section) -> Figure:
    """The published values (ticks) and ours (dots with two standard deviations), a panel a metric."""
    rows = section.rows
    several = len({row.ood_title for row in rows}) > 1
    figure = Figure(figsize=(2.9 * len(section.metrics) + 1.6, 0.34 * len(rows) + 1.5), layout="constrained")
    panels = _panels(figure, len(section.metrics))
    for panel, metric in zip(panels, section.metrics, strict=True):
        for place, row in enumerate(rows):
            _compare(panel, row, metric, section.printed(row, metric), place)
        panel.set_xlabel(f"{metric_title(metric)}, percent")
        panel.set_ylim(len(rows) - 0.5, -0.5)
    names = [f"{row.label}, {row.ood_title}" if several else row.label for row in rows]
    panels[0].set_yticks(range(len(rows)), names)
    figure.suptitle(f"{section.title}: ours (dots, ±2 std) and the paper (ticks)", fontsize=10)
    return figure


def _panels(figure: Figure, count: int) -> Sequence[Axes]:
    first = figure.add_subplot(1, count, 1)
    others = [figure.add_subplot(1, count, place, sharey=first) for place in range(2, count + 1)]
    for one in others:
        one.tick_params(labelleft=False)
    return [first, *others]


def _compare(panel: Axes, row: Row, metric: str, printed: str | None, place: int) -> None:
    if printed is not None:
        panel.plot([float(printed)], [place], marker="|", markersize=15, markeredgewidth=2, color="#14171f")
    if (stat := row.stat(metric)) is None:
        return
    colour = COLOURS[judge(row, metric, printed).verdict]
    reach = 2 * (stat.std or 0.0)
    panel.errorbar([stat.mean], [place], xerr=[reach], fmt="o", color=colour, markersize=5, capsize=3)


def _figure(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.4, 4.0), layout="constrained")
    panel = figure.add_subplot()
    panel.set_title(title, fontsize=10)
    return figure, panel


def curves(rows: Iterable[Row], details: Mapping[str, Details]) -> Figure | None:
    """ROC curves of all methods with their first seed; none without details."""
    known = [(row, row.records[0]) for row in rows if row.records[0].cell_key in details]
    if not known:
        return None
    figure, panel = _figure(f"ROC, ID positive: {known[0][1].data.id_test.title} against {known[0][0].ood_title}")
    for row, record in known:
        line = details[record.cell_key].roc
        panel.plot(line.x, line.y, label=f"{row.label}, seed {record.seed}", linewidth=1.5)
    panel.plot([0, 1], [0, 1], color="#8b93a1", linewidth=0.8, linestyle="--")
    panel.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1.005))
    panel.legend(fontsize=8, loc="lower right")
    return figure


def search(rows: Iterable[Row]) -> Figure | None:
    """What the search compared at each epsilon (best over other settings), first seed; none if nothing was searched."""
    found = {row.label: best for row in rows if (best := _best(row.records[0]))}
    if not found:
        return None
    figure, panel = _figure("Search over epsilon: best of the other settings, first seed")
    steps = sorted({step for best in found.values() for step in best})
    for label, best in found.items():
        mine = sorted(best)
        panel.plot([steps.index(step) for step in mine], [best[step] for step in mine], marker="o", label=label)
    panel.set_xticks(range(len(steps)), [f"{step:g}" for step in steps], rotation=60, fontsize=7)
    panel.set(xlabel="epsilon (raw [0, 1] pixels), candidates in order", ylabel="objective on the tuning rows")
    panel.legend(fontsize=8)
    return figure


def _best(record: Record) -> dict[float, float]:
    """The best value of the search's first column at each epsilon; the chosen setting says which way is better."""
    tuning = record.tuning
    values: dict[float, list[float]] = {}
    if tuning is None or len(tuning.curve) != len(tuning.candidates):
        return {}
    chosen = None
    for candidate, point in zip(tuning.candidates, tuning.curve, strict=True):
        step, value = candidate.get(_STEP), point[0] if point else None
        if isinstance(step, int | float) and value is not None:
            values.setdefault(float(step), []).append(value)
            if all(record.hyperparameters.get(key) == one for key, one in candidate.items()):
                chosen = value
    least = min((min(one) for one in values.values()), default=None)
    pick = min if chosen is not None and chosen == least else max
    return {step: pick(found) for step, found in values.items()} if len(values) > 1 else {}
