"""Methods beside networks: mean AUROC over OOD sets, where several networks scored the same sets by many methods."""

import statistics
from collections.abc import Sequence
from itertools import groupby

from ood_bench.data.imageset import titled
from ood_bench.report.format import NOTHING, markdown_table, number, paragraph
from ood_bench.report.sections import Section
from ood_bench.results import Record
from ood_bench.results.record_store import slug

_METHODS, _NETWORKS = 8, 2
"""Fewer methods or networks make no table: the others show them well."""
_PLACES = 2
_WORDS = (
    "Exact AUROC in percent, the mean over these OOD sets, highest mean over networks first. The half-width is the "
    "mean of the half-widths of the sets' 95 % bootstrap intervals: an upper bound of the mean's own, because sets "
    "share the ID rows. It speaks of rows, not of training seeds. Methods whose intervals overlap are not told apart; "
    "paired tests on the same images tell more (`ood-bench compare`)."
)


def by_network(every: Sequence[Section]) -> dict[str, str]:
    """A Markdown table by ID set and protocol, by name of the file; none where there is nothing to compare."""
    ran = [row for section in every if section.kind == "other" for row in section.ran]
    records = [record for row in ran for record in row.records]
    files = {}
    for (images, protocol), group in groupby(sorted(records, key=_place), key=_place):
        if text := _page(images, protocol, list(group)):
            files[f"methods-{protocol}-{slug(images)}.md"] = text
    return files


def _place(record: Record) -> tuple[str, str]:
    return record.data.id_test.title, record.protocol


def _page(images: str, protocol: str, records: Sequence[Record]) -> str:
    """The table of one ID set and protocol; empty where there are too few methods or networks."""
    cells: dict[tuple[str, str], dict[str, list[Record]]] = {}
    for record in records:
        sets = cells.setdefault((titled(record.method, record.variant), record.model), {})
        sets.setdefault(record.data.ood.title, []).append(record)
    networks = sorted({network for _, network in cells})
    shared = sorted(set.union(*(set(sets) for sets in cells.values())))
    whole = {key: sets for key, sets in cells.items() if set(sets) == set(shared)}
    methods = sorted({method for method, _ in whole})
    if len(methods) < _METHODS or len(networks) < _NETWORKS:
        return ""
    means = {key: _mean(sets) for key, sets in whole.items()}

    def overall(method: str) -> float:
        return statistics.fmean(means[method, network][0] for network in networks if (method, network) in means)

    complete = [method for method in methods if all((method, network) in means for network in networks)]
    others = [method for method in methods if method not in complete]
    rows = []
    for method in sorted(complete, key=overall, reverse=True) + sorted(others, key=overall, reverse=True):
        mean = number(overall(method), _PLACES) if method in complete else NOTHING
        rows.append([method, mean, *(_text(means.get((method, network))) for network in networks)])
    table = markdown_table(["Method", "mean", *networks], rows, left=[0])
    listed = paragraph(f"OOD sets: {', '.join(shared)}.")
    return "\n\n".join([f"# {images}, protocol {protocol}", paragraph(_WORDS), listed, table]) + "\n"


def _mean(sets: dict[str, list[Record]]) -> tuple[float, float | None]:
    """Mean over the sets, and the mean half-width of their intervals, if all have one."""
    found = [record.exact["auroc"] for records in sets.values() for record in records]
    halves = [(one.high - one.low) / 2 for one in found if one.low is not None and one.high is not None]
    return statistics.fmean(one.value for one in found), statistics.fmean(halves) if len(halves) == len(found) else None


def _text(mean: tuple[float, float | None] | None) -> str:
    if mean is None:
        return NOTHING
    value, half = mean
    return number(value, _PLACES) + ("" if half is None else f" ± {number(half, _PLACES)}")
