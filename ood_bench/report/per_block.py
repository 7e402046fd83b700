"""Bar charts of FeatureNorm over the blocks of a network: detection above, NormRatio below."""

import io
import re
import statistics
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ood_bench.report.rows import Row, gather
from ood_bench.results import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

METHOD = "feature_norm_blocks"
_METRIC, _TITLE = "auroc", "AUROC, percent"
_BAR, _CHOSEN = "#9db4d8", "#1f4e9c"
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "ood-bench",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_KINDS = {"svg": {"Date": None, "Creator": "ood-bench"}, "png": {"Software": None}}


def charts(records: Iterable[Record]) -> dict[str, bytes]:
    """Every chart that the records give, by file name; equal records give equal bytes with equal matplotlib.

    Args:
        records: any records; those of :data:`METHOD` count.
    """
    rows = gather(record for record in records if record.method == METHOD and record.variant)
    made: dict[str, bytes] = {}
    for _, group in groupby(sorted(rows, key=_images), key=_images):
        alike = list(group)
        one = alike[0].records[0]
        images = re.sub(r"[^a-z0-9]+", "-", alike[0].id_title.lower()).strip("-")
        stem = f"{one.protocol}-{one.model}-{images}-blocks"
        made |= {f"{stem}.{kind}": content for kind, content in _files(alike).items()}
    return made


def _images(row: Row) -> tuple[str, str, str]:
    return row.records[0].protocol, row.records[0].model, row.id_title


def ratio(rows: Iterable[Row]) -> float:
    """NormRatio of the block of these rows, mean over seeds; each seed has one, whatever the OOD set."""
    found: dict[int, Any] = {}
    for row in rows:
        for record in row.records:
            found[record.seed] = next(iter(dict(record.hyperparameters["norm_ratio"]).values()))  # type: ignore[arg-type]
    return statistics.fmean(float(value) for value in found.values())


def by_block(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of every block, in the order in which the network computes them."""
    found: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: _order(row.variant)):
        found.setdefault(row.variant, []).append(row)
    return found


def _order(tap: str) -> tuple[Any, ...]:
    """Names such as ``block2.10`` by their numbers; VGG's ``pool4`` stands where ``conv4`` would."""
    numbers = "".join(letter if letter.isdigit() else " " for letter in tap).split()
    return (*map(int, numbers), tap)


def _files(rows: Sequence[Row]) -> dict[str, bytes]:
    """The chart of one network on one ID set, by file type."""
    import matplotlib as mpl  # noqa: PLC0415 - takes a second to import, and most reports have no such chart
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context():
        mpl.rcdefaults()  # a user's own matplotlibrc must not change the files
        mpl.rcParams.update(_STYLE)
        blocks, one = by_block(rows), rows[0].records[0]
        figure = Figure(figsize=(max(6.5, 0.55 * len(blocks) + 2.5), 5.5), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True)
        ratios = [ratio(mine) for mine in blocks.values()]
        colours = [_CHOSEN if value == max(ratios) else _BAR for value in ratios]
        _detection(upper, blocks, colours)
        lower.bar(range(len(blocks)), ratios, color=colours)
        lower.axhline(1.0, color="#777777", linewidth=0.8)
        lower.set_ylabel("NormRatio")
        lower.set_xticks(range(len(blocks)), list(blocks), rotation=45, ha="right")
        figure.legend(fontsize=7, loc="outside lower center", ncols=4, frameon=False)
        seeds = len({record.seed for row in rows for record in row.records})
        figure.suptitle(
            f"FeatureNorm of each block: {one.model}, {rows[0].id_title}, {seeds} seed{'s' * (seeds > 1)}\n"
            "bars: mean over OOD sets; dark: the block that NormRatio chooses",
            fontsize=8,
        )
        made = {}
        for kind, metadata in _KINDS.items():
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, dpi=160, metadata=metadata)
            made[kind] = buffer.getvalue()
        return made


def _detection(panel: "Axes", blocks: dict[str, list[Row]], colours: Sequence[str]) -> None:
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
    panel.set_ylabel(_TITLE)


def _value(row: Row) -> float:
    stat = row.stat(_METRIC, exact=True)
    if stat is None:
        raise ValueError(f"{row.label} on {row.ood_title} has no {_METRIC}")
    return stat.mean
