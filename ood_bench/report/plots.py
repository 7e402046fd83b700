"""Plots of a paper's block as SVG and PNG files, equal bytes for equal records (and equal matplotlib)."""

import io
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ood_bench.report.format import metric_title
from ood_bench.report.rows import Row, gather
from ood_bench.report.sections import Section
from ood_bench.report.verdicts import Verdict
from ood_bench.results import Record
from ood_bench.results.details import Details
from ood_bench.results.record_store import slug
from ood_bench.utils.printable import printable

METHOD = "feature_norm_blocks"
KINDS = ("comparison.", "roc-")
_MOST_ROWS = 60
"""How the names of a block's plots go on behind the block's own."""
PER_BLOCK = ("-blocks.svg", "-blocks.png")
"""How the names of bar charts over a network's blocks end."""
COLOURS = {
    Verdict.REPRODUCED: "#12805c",
    Verdict.UNDECIDED: "#9a6b00",
    Verdict.BETTER: "#2563c9",
    Verdict.WORSE: "#c2410c",
    Verdict.INCOMPARABLE: "#8b93a1",
    Verdict.NOT_RUN: "#8b93a1",
}
STYLE: Final[dict[Any, Any]] = {
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
    "text.parse_math": False,  # a name with $ in it is a name
}
_BLOCKS_STYLE: Final[dict[Any, Any]] = {
    key: STYLE[key] for key in ("svg.hashsalt", "font.size", "axes.spines.top", "axes.spines.right", "text.parse_math")
}
_BAR, _CHOSEN = "#9db4d8", "#1f4e9c"
_DPI = 160
_METADATA: Final[dict[str, dict[str, str | None]]] = {
    "svg": {"Date": None, "Creator": "ood-bench"},
    "png": {"Software": None},
}


def of(section: Section, details: Mapping[str, Details]) -> dict[str, bytes]:
    """Every plot of a paper's block, by the end of its file name (``comparison.svg``); details are by cell key."""
    with style.context(STYLE, after_reset=True):  # whatever a user's own matplotlibrc says
        figures = {"comparison": comparison(section)}
        for ood in dict.fromkeys(row.ood for row in section.ran if not row.averages):
            mine = [row for row in section.ran if row.ood == ood]
            figures |= {f"roc-{ood}": figure} if (figure := curves(mine, details)) else {}
        return files(figures)


def files(figures: Mapping[str, Figure]) -> dict[str, bytes]:
    """Figures as SVG and PNG without date and version, which would differ from day to day."""
    files = {}
    for name, figure in figures.items():
        for kind, metadata in _METADATA.items():
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, dpi=_DPI, metadata=metadata)
            files[f"{name}.{kind}"] = buffer.getvalue()
    return files


def comparison(section: Section) -> Figure:
    """The published values (ticks) and ours (dots), a panel a metric; what lies beyond a bar is not reproduced.

    Where nothing tells there is no bar. Of a long block only what ran is drawn.
    """
    rows = section.rows if len(section.rows) <= _MOST_ROWS else section.ran
    several = len({row.ood_title for row in rows}) > 1
    figure = Figure(figsize=(2.9 * len(section.metrics) + 1.6, 0.34 * len(rows) + 1.5), layout="constrained")
    panels = figure.subplots(1, len(section.metrics), sharey=True, squeeze=False)[0]
    for panel, metric in zip(panels, section.metrics, strict=True):
        for place, row in enumerate(rows):
            _compare(panel, row, metric, section, place)
        panel.set_xlabel(f"{metric_title(metric)}, percent")
        panel.set_ylim(len(rows) - 0.5, -0.5)
    names = [f"{row.label}, {row.ood_title}" if several else row.label for row in rows]
    panels[0].set_yticks(range(len(rows)), names)
    figure.suptitle(f"{section.title}: ours (dots) and the paper (ticks; beyond a bar not reproduced)", fontsize=10)
    return figure


def _compare(panel: Axes, row: Row, metric: str, section: Section, place: int) -> None:
    if (printed := section.printed(row, metric)) is not None:
        panel.plot([float(printed)], [place], marker="|", markersize=15, markeredgewidth=2, color="#14171f")
    if (stat := row.stat(metric)) is None:
        return
    judged = section.judge(row, metric)
    bar = [judged.limit] if judged.limit else None
    colour = COLOURS[judged.verdict]
    panel.errorbar([stat.mean], [place], xerr=bar, fmt="o", color=colour, markersize=5, capsize=3)


def curves(rows: Iterable[Row], details: Mapping[str, Details]) -> Figure | None:
    """ROC curves of all methods with their first seed, as their details have them; none without details."""
    known = [(row, row.records[0]) for row in rows if row.records[0].cell_key in details]
    if not known:
        return None
    figure = Figure(figsize=(5.4, 4.0), layout="constrained")
    panel = figure.add_subplot()
    panel.set_title(f"ROC, ID positive: {known[0][1].data.id_test.title} against {known[0][0].ood_title}", fontsize=10)
    for row, record in known:
        line = details[record.cell_key].roc
        panel.plot(line.x, line.y, label=f"{row.label}, seed {record.seed}", linewidth=1.5)
    panel.plot([0, 1], [0, 1], color="#8b93a1", linewidth=0.8, linestyle="--")
    panel.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1.005))
    panel.legend(fontsize=8, loc="lower right")
    return figure


def per_block(records: Iterable[Record]) -> dict[str, bytes]:
    """Bar charts of :data:`METHOD` over the blocks of a network, by file name: detection above, NormRatio below."""
    rows = gather(record for record in records if record.method == METHOD and record.variant)
    made: dict[str, bytes] = {}
    for _, group in groupby(sorted(rows, key=_images), key=_images):
        alike = list(group)
        one = alike[0].records[0]
        images = slug(alike[0].id_title)
        stem = f"{one.protocol}-{one.model}-{images}-blocks"
        with style.context(_BLOCKS_STYLE, after_reset=True):
            made |= files({stem: _blocks(alike)})
    return made


def _images(row: Row) -> tuple[str, str, str]:
    return row.records[0].protocol, row.records[0].model, row.id_title


def ratio(rows: Iterable[Row]) -> float:
    """NormRatio of the block of these rows, mean over networks; each seed has one, whatever the OOD set."""
    found: dict[str, dict[int, Any]] = {}
    for row in rows:
        for record in row.records:
            value = next(iter(dict(record.hyperparameters["norm_ratio"]).values()))
            found.setdefault(record.checkpoint.identity, {})[record.seed] = value
    return statistics.fmean(statistics.fmean(map(float, seeds.values())) for seeds in found.values())


def by_block(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of every block, in the order in which the network computes them."""
    found: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: _order(row.variant)):
        found.setdefault(row.variant, []).append(row)
    return found


def _order(tap: str) -> tuple[Any, ...]:
    """Names such as ``block2.10`` by their numbers; VGG's ``pool4`` stands where ``conv4`` would."""
    return (*map(int, re.findall(r"\d+", tap)), tap)


def _blocks(rows: Sequence[Row]) -> Figure:
    """The chart of one network on one ID set."""
    blocks, one = by_block(rows), rows[0].records[0]
    figure = Figure(figsize=(max(6.5, 0.55 * len(blocks) + 2.5), 5.5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    ratios = [ratio(mine) for mine in blocks.values()]
    colours = [_CHOSEN if value == max(ratios) else _BAR for value in ratios]
    _detection(upper, blocks, colours)
    lower.bar(range(len(blocks)), ratios, color=colours)
    lower.axhline(1.0, color="#777777", linewidth=0.8)
    lower.set_ylabel("NormRatio")
    lower.set_xticks(range(len(blocks)), [printable(name, keep="") for name in blocks], rotation=45, ha="right")
    figure.legend(fontsize=7, loc="outside lower center", ncols=4, frameon=False)
    networks = len({record.checkpoint.identity for row in rows for record in row.records})
    figure.suptitle(
        f"FeatureNorm of each block: {one.model}, {rows[0].id_title}, {networks} network{'s' * (networks > 1)}\n"
        "bars: mean over OOD sets; dark: the block that NormRatio chooses",
        fontsize=8,
    )
    return figure


def _detection(panel: Axes, blocks: dict[str, list[Row]], colours: Sequence[str]) -> None:
    """Bars of the mean over OOD sets, and a mark for each set."""
    values = {name: {row.ood_title: _value(row) for row in mine} for name, mine in blocks.items()}
    names = {row.ood_title: row.records[0].ood for mine in blocks.values() for row in mine}  # tables say the variants
    panel.bar(range(len(blocks)), [statistics.fmean(sets.values()) for sets in values.values()], color=list(colours))
    titles = sorted({title for sets in values.values() for title in sets})
    for marker, title in zip("osD^v<>PX*hd" * len(titles), titles, strict=False):
        places = [place for place, sets in enumerate(values.values()) if title in sets]
        heights = [sets[title] for sets in values.values() if title in sets]
        panel.plot(
            places, heights, marker, markersize=4, label=names[title], markeredgecolor="white", markeredgewidth=0.4
        )
    panel.axhline(50.0, color="#777777", linewidth=0.8)
    panel.set_ylim(-3, 103)
    panel.set_ylabel("AUROC, percent")


def _value(row: Row) -> float:
    stat = row.stat("auroc", "exact")
    if stat is None:
        raise ValueError(f"{row.label} on {row.ood_title} has no AUROC")
    return stat.mean
