"""Methods beside networks: mean AUROC over OOD sets, where many methods scored the same sets."""

import statistics
from collections.abc import Mapping, Sequence
from itertools import groupby

from ood_bench.data.imageset import titled
from ood_bench.papers.costs import costs
from ood_bench.report.csv_files import as_csv
from ood_bench.report.format import NOTHING, markdown_table, number, paragraph
from ood_bench.report.means import Mean
from ood_bench.report.sections import Section
from ood_bench.results import Record
from ood_bench.results.record_store import slug

COLUMNS = (
    "method", "variant", "model", "ood", "ood_images", "seed", "n_id", "n_ood", "auroc", "low", "high", "fpr95",
    "fpr95_ood_positive", "aupr_in", "aupr_out", "cell",
)  # fmt: skip
"""Of the CSV file of a table's cells: exact metrics in percent."""
_METHODS = 8
"""Fewer methods make no table: the others show them well."""
_PLACES, _CSV_PLACES = 2, 4
_SAME = 1e-3  # both AUROCs count the same rows
_WORDS = "Exact AUROC in percent, the mean over these OOD sets, highest mean over networks first."
_BOUND = (
    "The half-width is the mean of the half-widths of the sets' 95 % bootstrap intervals: an upper bound of the mean's "
    "own, because sets share the ID rows. It speaks of rows, not of training seeds. `ood-bench compare --means` gives "
    "the mean's own interval, and tests that tell methods apart."
)
_TESTED = (
    "The half-width is that of the mean's own 95 % interval by DeLong, ID rows being shared by the sets: it speaks of "
    "rows, not of training seeds. Methods with `=` are not told apart from their network's best (bold) by "
    "DeLong's test of the two means on the same images, p by Holm over all methods of the network, 5 %."
)
_COST = (
    "Passes are what scoring with the method takes in forward passes over the scored images, on one core of {cpu} with "
    "{subject} (`python -m benchmarks.costs`): the pass that methods of logits and features share counts as 1 for each "
    "of them, what a method learns from is not counted, and a pass that ends at an early tap is less than 1."
)
_Means = Mapping[tuple[str, str, str, str], Mean]


def by_network(every: Sequence[Section], tested: _Means) -> dict[str, str]:
    """A Markdown table by ID set and protocol, and its cells as CSV, by name of the file; none where methods are few.

    Args:
        every: the sections of all tables.
        tested: what :func:`ood_bench.report.means.read` found.
    """
    ran = [row for section in every if section.kind == "other" for row in section.ran]
    records = [record for row in ran for record in row.records]
    files: dict[str, str] = {}
    for (images, protocol), group in groupby(sorted(records, key=_place), key=_place):
        cells = list(group)
        if text := _page(images, protocol, cells, tested):
            name = f"methods-{protocol}-{slug(images)}"
            files |= {f"{name}.md": text, f"{name}.csv": as_csv(COLUMNS, map(_line, cells))}
    return files


def _place(record: Record) -> tuple[str, str]:
    return record.data.id_test.title, record.protocol


def _line(record: Record) -> dict[str, str]:
    auroc, text = record.exact["auroc"], {"method": record.method, "variant": record.variant, "model": record.model}
    text |= {"ood": record.ood, "ood_images": record.data.ood.title, "seed": str(record.seed), "cell": record.cell_key}
    text |= {"n_id": str(record.n_id), "n_ood": str(record.n_ood)}
    numbers = {name: record.exact[name].value for name in COLUMNS if name in record.exact}
    if auroc.low is not None and auroc.high is not None:
        numbers |= {"low": auroc.low, "high": auroc.high}
    return text | {name: number(value, _CSV_PLACES) for name, value in numbers.items()}


def _page(images: str, protocol: str, records: Sequence[Record], tested: _Means) -> str:
    """The table of one ID set and protocol; empty where there are too few methods or networks."""
    cells: dict[tuple[str, str], dict[str, list[Record]]] = {}
    for record in records:
        sets = cells.setdefault((titled(record.method, record.variant), record.model), {})
        sets.setdefault(record.data.ood.title, []).append(record)
    networks = sorted({network for _, network in cells})
    shared = sorted(set.union(*(set(sets) for sets in cells.values())))
    whole = {key: sets for key, sets in cells.items() if set(sets) == set(shared)}
    methods = sorted({method for method, _ in whole})
    if len(methods) < _METHODS:
        return ""
    means = {key: _mean(sets) for key, sets in whole.items()}
    found = {key: tested.get((images, protocol, key[1], key[0])) for key in whole}
    fits = all(one and one.sets == len(shared) and abs(one.auroc - means[key][0]) < _SAME for key, one in found.items())

    def text(key: tuple[str, str]) -> str:
        if key not in means:
            return NOTHING
        value, half = means[key]
        if not fits or not (one := found[key]):
            return _value(value, half)
        best = value == max(means[other][0] for other in means if other[1] == key[1])
        return f"**{_value(value, one.half)}**" if best else _value(value, one.half) + " =" * one.level

    def overall(method: str) -> float:
        return statistics.fmean(means[method, network][0] for network in networks if (method, network) in means)

    complete = [method for method in methods if all((method, network) in means for network in networks)]
    others = [method for method in methods if method not in complete]
    paid = {method: cost for method, cost in costs().items() if method in methods}
    rows = []
    for method in sorted(complete, key=overall, reverse=True) + sorted(others, key=overall, reverse=True):
        mean = number(overall(method), _PLACES) if method in complete else NOTHING
        cost = number(paid[method].passes, _PLACES) if method in paid else NOTHING
        rows.append([method, mean, *([cost] if paid else []), *(text((method, network)) for network in networks)])
    table = markdown_table(["Method", "mean", *(["passes"] if paid else []), *networks], rows, left=[0])
    about = [f"{_WORDS} {_TESTED if fits else _BOUND}"]
    about += [_COST.format(cpu=one.cpu, subject=one.subject) for one in list(paid.values())[:1]]
    about.append(f"OOD sets: {', '.join(shared)}.")
    return "\n\n".join([f"# {images}, protocol {protocol}", *map(paragraph, about), table]) + "\n"


def _mean(sets: dict[str, list[Record]]) -> tuple[float, float | None]:
    """Mean over the sets, and the mean half-width of their intervals, if all have one."""
    found = [record.exact["auroc"] for records in sets.values() for record in records]
    halves = [(one.high - one.low) / 2 for one in found if one.low is not None and one.high is not None]
    return statistics.fmean(one.value for one in found), statistics.fmean(halves) if len(halves) == len(found) else None


def _value(value: float, half: float | None) -> str:
    return number(value, _PLACES) + ("" if half is None else f" ± {number(half, _PLACES)}")
