"""Pages of results: a paper's block beside ours, what goes beyond it, and records that belong to no block."""

from collections.abc import Iterable, Sequence

from ood_bench.papers.block import Block
from ood_bench.report.footnotes import Footnotes, classifiers, how_made, settings
from ood_bench.report.format import (
    NOTHING,
    bullet,
    decimals,
    interval,
    markdown_table,
    metric_order,
    metric_title,
    number,
    ours,
    paragraph,
    spread,
)
from ood_bench.report.rows import Kind, Row
from ood_bench.report.sections import Section
from ood_bench.report.verdicts import flags_in_words

_METRICS_A_TABLE, _SELECTIVE_A_TABLE = 3, 5
_ENDS = (" †", " ?")
_OURS = "Ours is mean ± sample standard deviation over networks (their number); a single network has no deviation."
_MARKS = (
    "The difference is ours minus the paper's. † Not reproduced: further than chance and the margin allow. "
    "? Undecided: these networks cannot tell. Without a mark it is reproduced or not compared. "
    "Margin: {margins}. Verdicts: {verdicts} (docs/verdicts.md)."
)
_EXACT = paragraph(
    "The same scores by the exact definitions of the metrics, without the paper's convention. In brackets the 95 % "
    "bootstrap interval over images, its ends averaged over networks."
)


def legend(block: Block, section: Section) -> str:
    """What the numbers and marks of a block's table are."""
    numbers = _OURS if block.spread == "sample" else _OURS.replace("sample", "population")
    return paragraph(f"{numbers} {_MARKS.format(margins=section.margins, verdicts=section.verdicts)}")


def _names(rows: Sequence[Row], footnotes: Footnotes | None, with_ood: bool) -> tuple[list[str], list[list[str]]]:
    """The columns that say what a row is: the method, the ID set if not one official release, the OOD set if wanted."""
    ran = [row for row in rows if row.records]
    columns = {"Method": [row.label + (footnotes.marks(row) if footnotes else "") for row in rows]}
    if {row.id_title for row in ran} != {record.id for row in ran for record in row.records}:
        columns["ID set"] = [row.id_title for row in rows]
    if with_ood:
        columns["OOD set"] = [row.ood_title for row in rows]
    return list(columns), [list(cells) for cells in zip(*columns.values(), strict=True)]


def _several_oods(rows: Sequence[Row]) -> bool:
    """Whether the heading does not say all that there is to say about the OOD set."""
    return len({row.ood_title for row in rows}) > 1 or any(row.ood_title != row.ood for row in rows)


def _chunks(metrics: Sequence[str], size: int = _METRICS_A_TABLE) -> list[Sequence[str]]:
    """Metrics in groups of what fits side by side."""
    return [metrics[start : start + size] for start in range(0, len(metrics), size)]


def _difference(row: Row, metric: str, section: Section, places: int) -> str:
    stat, printed = row.stat(metric), section.printed(row, metric)
    if stat is None or printed is None:
        return NOTHING
    return number(stat.mean - float(printed), places, sign=True) + section.judge(row, metric).verdict.mark


def _padded(column: list[str]) -> list[str]:
    """Unmarked cells get the room of a mark where the column has one, so that their digits stay in line."""
    if not any(text.endswith(_ENDS) for text in column):
        return column
    return [text if text.endswith(_ENDS) else text + "  " for text in column]


def _further(rows: Sequence[Row], block: Block, metric: str) -> dict[str, list[str]]:
    """Columns of the further tables that have anything for these rows, by title."""
    columns = {}
    for place, other in enumerate(block.further):
        cells = [block.printed(row.method, row.ood, metric, further=place) for row in rows]
        if any(cells):
            columns[other.title] = [text or NOTHING for text in cells]
    return columns


def compared(block: Block, section: Section, footnotes: Footnotes | None = None) -> str:
    """The main table: for each metric the paper's value, further published ones, ours, and ours less the paper's.

    Footnotes' numbers stand behind the methods' names, if given.
    """
    rows = section.rows
    tables = []
    for metrics in _chunks(section.metrics):
        header, names = _names(rows, footnotes, _several_oods(rows))
        columns: list[list[str]] = []
        for metric in metrics:
            printed = [section.printed(row, metric) for row in rows]
            places = max(map(decimals, printed))
            further = _further(rows, block, metric)
            header = [*header, f"{metric_title(metric)} paper", *further, "ours", "diff."]
            columns += [[text or NOTHING for text in printed], *further.values()]
            columns.append([ours(row, metric, places) for row in rows])
            columns.append(_padded([_difference(row, metric, section, places) for row in rows]))
        lines = [[*name, *line] for name, line in zip(names, zip(*columns, strict=True), strict=True)]
        tables.append(markdown_table(header, lines, range(len(names[0]))))
    return "\n\n".join(tables)


def measured(rows: Sequence[Row], footnotes: Footnotes | None, kind: Kind, *, with_ood: bool = True) -> str:
    """A table of our own values only, with intervals unless they are the paper's metrics; empty if there are none."""
    there = metric_order(metric for row in rows for record in row.records for metric in getattr(record, kind))
    tables = []
    for metrics in _chunks(there, _SELECTIVE_A_TABLE if kind == "selective" else _METRICS_A_TABLE):
        header, names = _names(rows, footnotes, with_ood)
        left = len(header)
        for metric in metrics:
            stats = [row.stat(metric, kind) for row in rows]
            header.append(metric_title(metric))
            columns = [[spread(stat, 2) if stat else NOTHING for stat in stats]]
            if kind == "exact" or (kind == "selective" and any(interval(stat) != NOTHING for stat in stats)):
                header.append("95 % interval")
                columns.append([interval(stat) for stat in stats])
            names = [[*name, *cells] for name, cells in zip(names, zip(*columns, strict=True), strict=True)]
        tables.append(markdown_table(header, names, range(left)))
    return "\n\n".join(tables)


def heading(block: Block, rows: Sequence[Row]) -> str:
    """What the table is about, in a line or three; images that are not the official release are named here."""
    tables = " and ".join(f"`{table}`" for table in (block.table, *block.also))
    numbers = f"{tables} in `{block.csv_place}` (source: {', '.join(block.sources)})"
    id_titles = _titles(row.id_title for row in rows if row.records) or block.id
    lines = [
        f"Published: {block.reference}. Numbers from {numbers}.",
        f"Classifier {block.model}, ID set {id_titles}, OOD set {_titles(row.ood_title for row in rows)}, "
        f"protocol {block.protocol}; all numbers in percent.",
        *_warning(rows, block.images),
    ]
    return "\n".join(map(paragraph, lines))


def _titles(titles: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(titles))


def _warning(rows: Sequence[Row], official: str = "") -> list[str]:
    """One bold line if any image set is neither the official release nor of the variant ``official``."""
    used = [one for row in rows for record in row.records for one in record.data.used]
    parts = [one.title for one in used if one.variant not in ("", official)]
    return [paragraph(f"**Not the official images: {_titles(sorted(parts))}.**")] if parts else []


def _test_errors(block: Block | None) -> list[str]:
    """A line with the test errors that were published for the classifier; ours follows from its ID accuracy."""
    if block is None or not block.classifier:
        return []
    numbers = ", ".join(f"{error} % (`{table}`)" for table, error in block.test_errors.items())
    return [paragraph(f"Published test error of the classifier: {numbers}. Ours is 100 % less the ID accuracy.")]


def _details(rows: Sequence[Row], footnotes: Footnotes, block: Block | None = None) -> list[str]:
    """The sections that every page ends with."""
    return [
        "## How the numbers were made",
        how_made(rows),
        footnotes.listed(),
        "## Classifiers",
        classifiers(rows),
        *_test_errors(block),
        *(["## Hyperparameters", chosen] if (chosen := settings(rows)) else []),
    ]


def insert(block: Block, section: Section) -> str:
    """A block's table for a readme, with what it is about; a line that says so where no cell was run."""
    if not section.ran:
        return f"No results yet: run `ood-bench paper={block.name}`."
    return "\n\n".join([heading(block, section.rows), compared(block, section), legend(block, section)])


def block_page(block: Block, section: Section, beyond: Sequence[Row]) -> str:
    """The page of one block: its arranged rows, and those of the same model, ID set and protocol beyond the paper."""
    rows, ran = section.rows, section.ran
    every = [*ran, *beyond]
    footnotes = Footnotes.of(every)
    parts = [f"# {block.title}", heading(block, rows), compared(block, section, footnotes), legend(block, section)]
    if block.notes:
        parts += ["On the published numbers:", "\n".join(map(bullet, block.notes))]
    if flags := flags_in_words(block):
        parts += ["Flags on published numbers:", "\n".join(map(bullet, flags))]
    if exact := measured(ran, None, "exact", with_ood=_several_oods(rows)):
        parts += ["## Exact metrics", _EXACT, exact]
    if beyond:
        parts += ["## Beyond the paper", "Cells that the paper's table does not have.", *_warning(beyond, block.images)]
        parts += [measured(beyond, footnotes, "metrics"), measured(beyond, None, "exact")]
    return _joined([*parts, *_details(every, footnotes, block)])


def other_page(others: Iterable[Section]) -> str:
    """One page for the rows that belong to no block."""
    parts = ["# Results outside the papers' tables", _OURS, _EXACT]
    for one in others:
        footnotes = Footnotes.of(one.rows)
        section = [f"# {one.id}, {one.model}, protocol {one.protocol}", *_warning(one.rows)]
        section += [measured(one.rows, footnotes, "metrics")]
        section += ["## Exact metrics", measured(one.rows, None, "exact")]
        parts.append(_lowered([*section, *_details(one.rows, footnotes)]))
    return _joined(parts)


def _lowered(parts: Iterable[str]) -> str:
    """Parts of a page as a section of another: every heading one level down."""
    return _joined(f"#{part}" if part.startswith("#") else part.replace("\n#", "\n##") for part in parts).rstrip()


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
