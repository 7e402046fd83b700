"""Methods beside OOD sets: which rows stand in which line and column, with means, ranks and costs."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ood_bench.papers.costs import costs
from ood_bench.report.format import number
from ood_bench.report.page.shared import Shared
from ood_bench.report.rows import Row
from ood_bench.report.sections import Section
from ood_bench.report.verdicts import smaller_is_better

_PLACES = 2
Groups = Mapping[str, Mapping[str, str]]
"""By ID set, which group an OOD set belongs to, such as near or far."""


class Place(NamedTuple):
    """A row and its number on the page."""

    row: Row
    number: int


def known_groups(sections: Iterable[Section]) -> Groups:
    """The groups of OOD sets that papers' blocks name."""
    found: dict[str, dict[str, str]] = {}
    for section in sections:
        if section.block:
            for name, members in section.block.groups.items():
                found.setdefault(section.id, {}).update(dict.fromkeys(members, name) | {name: name})
    return found


def group_of(name: str, groups: Mapping[str, str]) -> str:
    """The group of an OOD set, or that of the set whose part it is by its name; empty if there is none.

    >>> group_of("svhn_train_subset", {"svhn": "far", "cifar100": "near"})
    'far'
    """
    part_of = (whole for whole in sorted(groups, reverse=True) if name.startswith(f"{whole}_"))
    return groups.get(name) or next((groups[whole] for whole in part_of), "")


def matrices(section: Section, places: Sequence[Place], groups: Groups, shared: Shared) -> list[dict[str, Any]]:
    """One matrix for each kind of ID images; cells that were not run stand in the first."""
    images = list(dict.fromkeys(one.row.id_title for one in places if one.row.records))
    found = []
    for index, title in enumerate(images or [section.id]):
        mine = [one for one in places if one.row.id_title == title or (not index and not one.row.records)]
        found.append({"id": title, **_matrix(section, mine, groups.get(section.id, {}), shared)})
    return found


def _matrix(section: Section, places: Sequence[Place], groups: Mapping[str, str], shared: Shared) -> dict[str, Any]:
    first = {one.row.ood_title: one for one in reversed(places)}
    seen = list(dict.fromkeys(one.row.ood_title for one in places))
    order = [*dict.fromkeys(groups.values()), ""]
    group_by_title = {title: group_of(one.row.ood, groups) for title, one in first.items()}

    def place(title: str) -> tuple[int, bool, int]:
        return order.index(group_by_title[title]), first[title].row.averages, seen.index(title)

    titles = sorted(seen, key=place)
    names = [first[title].row.ood for title in titles]
    lines: dict[str, dict[str, Place]] = {}
    for one in places:
        lines.setdefault(one.row.label, {})[one.row.ood_title] = one
    whole = [
        title
        for title in titles
        if any(_ran(line.get(title)) and not line[title].row.averages for line in lines.values())
    ]
    printed = {first[title].row.ood for title in titles if first[title].row.averages}
    members = {name: [title for title in whole if group_by_title[title] == name] for name in order if name}
    several = {name: mine for name, mine in members.items() if len(mine) > 1 and name not in printed}
    means = {metric: _means(lines, whole, several, metric) for metric in section.metrics}
    return {
        "sets": [
            [name if names.count(name) == 1 else title, shared.place(title), group_by_title[title]]
            for name, title in zip(names, titles, strict=True)
        ],
        "mean_of": len(whole),
        "groups": list(several),
        "lines": [
            {
                "label": label,
                "passes": _passes(line),
                "means": {metric: means[metric][label] for metric in section.metrics if label in means[metric]},
                "rows": [line[title].number if title in line else -1 for title in titles],
            }
            for label, line in lines.items()
        ],
    }


def best_cells(section: Section, places: Sequence[Place]) -> set[tuple[int, str]]:
    """The best of each column, as number of the row and metric; where several were run on the same images."""
    columns: dict[tuple[str, str, str], list[tuple[float, int]]] = {}
    for row, index in places:
        for metric in section.metrics:
            if (stat := row.stat(metric)) is not None:
                columns.setdefault((row.id_title, row.ood_title, metric), []).append((stat.mean, index))
    found = set()
    for (_, _, metric), values in columns.items():
        best = (min if smaller_is_better(metric) else max)(value for value, _ in values)
        found |= {(index, metric) for value, index in values if value == best and len(values) > 1}
    return found


def _ran(place: Place | None) -> bool:
    return place is not None and bool(place.row.records)


def _means(
    lines: Mapping[str, Mapping[str, Place]], titles: Sequence[str], groups: Mapping[str, Sequence[str]], metric: str
) -> dict[str, list[Any]]:
    """Of each method that has all sets: its mean over them as text, that mean's rank, and its means over groups."""
    values: dict[str, dict[str, float]] = {}
    for label, line in lines.items():
        stats = {title: line[title].row.stat(metric) if title in line else None for title in titles}
        known = {title: stat.mean for title, stat in stats.items() if stat is not None}
        if known and len(known) == len(stats):
            values[label] = known
    means = {label: statistics.fmean(known.values()) for label, known in values.items()}
    sign = -1 if smaller_is_better(metric) else 1
    better = {label: sum(sign * other > sign * mean for other in means.values()) for label, mean in means.items()}
    found: dict[str, list[Any]] = {}
    for label, mean in means.items():
        parts = [statistics.fmean(values[label][title] for title in mine) for mine in groups.values()]
        found[label] = [number(mean, _PLACES), 1 + better[label], [number(part, _PLACES) for part in parts]]
    return found


def _passes(line: Mapping[str, Place]) -> str:
    """What a method as it is shipped costs in forward passes; empty for variants, and where nobody measured it."""
    row = next(iter(line.values())).row
    cost = None if row.variant else costs().get(row.method)
    return "" if cost is None else number(cost.passes, _PLACES)
