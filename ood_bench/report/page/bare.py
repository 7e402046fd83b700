"""Tables of methods beside networks whose records were not kept: matrices from the CSV files that the report made."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ood_bench.data.imageset import titled
from ood_bench.errors import ConfigError
from ood_bench.papers.costs import costs
from ood_bench.report import notes
from ood_bench.report.explanations import Explained, Explanations
from ood_bench.report.format import number
from ood_bench.report.page import why
from ood_bench.report.page.matrix import Groups, group_of
from ood_bench.report.page.shared import Shared
from ood_bench.report.verdicts import smaller_is_better
from ood_bench.results.record_store import slug

Json = dict[str, Any]
METRICS = ("auroc", "fpr95")
_PLACES = 2
_COLUMNS = {"method", "variant", "model", "weights", "ood", "ood_images", "low", "high", "cell", *METRICS}


def sections(
    results: Path, folders: Sequence[str], groups: Groups, shared: Shared, explained: Explanations
) -> list[Json]:
    """A section for each network of each table ``methods-*.csv`` of these folders.

    Args:
        results: the folder of the page.
        folders: below it, each a results folder without records.
        groups: of OOD sets.
        shared: takes what sections repeat.
        explained: ladders, of which those of these cells stand with them.

    Raises:
        ConfigError: if a folder has no such table, a file is none, or a note of the folder is about no cell of it.
    """
    found = []
    for folder in folders:
        remarks = _Remarks(results / folder, shared)
        paths = sorted((results / folder / "tables").glob("methods-*.csv"))
        if not paths:
            raise ConfigError(f"{results / folder} has no tables/methods-*.csv", "remove it from `beside` in page.yaml")
        for path in paths:
            cells, heading = _read(path)
            for (model, _), mine in cells.groupby(["model", "weights"], sort=True):
                images, _, protocol = heading.rpartition(", protocol ")
                about = {"model": str(model), "id": images.partition(" (")[0], "protocol": protocol}
                files = [(words, path.with_suffix(end).relative_to(results).as_posix()) for words, end in _FILES]
                found.append(
                    {
                        "key": slug(f"{folder} {about['id']} {model}"),
                        "kind": "other",
                        "title": f"{about['id']}, {model}, protocol {protocol}, {folder}",
                        **about,
                        "metrics": list(METRICS),
                        "files": files,
                        "multiverses": [],
                        **_matrix(mine, images, groups.get(about["id"], {}), shared),
                        "ladders": _ladders(mine, explained),
                        "remarks": remarks.of(mine, about),
                    }
                )
        remarks.refuse_unused()
    return found


_FILES = (("table", ".md"), ("numbers", ".csv"))


def _read(path: Path) -> tuple[pd.DataFrame, str]:
    """The cells of a file, and the heading of the table beside it: ID images and protocol."""
    try:
        cells = pd.read_csv(path, keep_default_na=False, dtype={"variant": str, "weights": str, "cell": str})
        heading = path.with_suffix(".md").read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}", "make it again with ood-bench report") from error
    if lacking := _COLUMNS - set(cells.columns):
        raise ConfigError(f"{path}: lacks {', '.join(sorted(lacking))}", "make it again with ood-bench report")
    return cells.assign(
        label=[titled(*names) for names in zip(cells["method"], cells["variant"], strict=True)]
    ), heading


def _matrix(cells: pd.DataFrame, images: str, groups: Mapping[str, str], shared: Shared) -> Json:
    """Lines by method, best mean first, and the texts of their cells: ``"88.27 87.10 89.20*"``, * the best."""
    sets = dict(zip(cells["ood_images"], cells["ood"], strict=True))
    order = [*dict.fromkeys(groups.values()), ""]
    group_by_title = {title: group_of(name, groups) for title, name in sets.items()}
    titles = sorted(sets, key=lambda title: order.index(group_by_title[title]))
    numbers = {name: cells.groupby(["label", "ood_images"])[name].mean().unstack() for name in METRICS}  # noqa: PD010
    means = {name: table[titles].mean(axis=1, skipna=False) for name, table in numbers.items()}
    labels = list(means[METRICS[0]].sort_values(ascending=False, kind="stable").index)
    ends = {(one.label, one.ood_images): (one.low, one.high) for one in cells.itertuples()}
    methods = dict(zip(cells["label"], zip(cells["method"], cells["variant"], strict=True), strict=True))

    def texts(name: str, label: str) -> list[str]:
        table = numbers[name]
        found = []
        for title in titles:
            value = float(table.loc[label, title])
            best = (table[title].min if smaller_is_better(name) else table[title].max)()
            known = [value, *(ends[label, title] if name == "auroc" else ())] if not math.isnan(value) else []
            mark = "*" if known and value == best else ""
            found.append(" ".join(number(float(one), _PLACES) for one in known if one != "") + mark)
        return found

    lines = [
        {
            "label": label,
            "method": methods[label][0],
            "passes": _passes(*methods[label]),
            "means": {name: mean for name in METRICS if (mean := _mean(means[name], label, name))},
        }
        for label in labels
    ]
    shown = [[sets[title], shared.place(title), group_by_title[title]] for title in titles]
    matrix = {"id": images, "sets": shown, "mean_of": len(titles), "groups": [], "lines": lines}
    return {"matrices": [matrix], "bare": {name: [texts(name, label) for label in labels] for name in METRICS}}


def _mean(means: "pd.Series[float]", label: str, metric: str) -> list[Any]:
    """A method's mean as text and its rank; empty if it lacks a set."""
    value = float(means[label])
    if math.isnan(value):
        return []
    ahead = means < value if smaller_is_better(metric) else means > value
    return [number(value, _PLACES), 1 + int(ahead.sum()), []]


def _passes(method: str, variant: str) -> str:
    cost = None if variant else costs().get(method)
    return "" if cost is None else number(cost.passes, _PLACES)


def _ladders(cells: pd.DataFrame, explained: Explanations) -> Json:
    """Ladders of these cells, by method and OOD set."""
    found: dict[str, list[Explained]] = {}
    for one in cells.itertuples():
        if (key := str(one.cell)) in explained.ladders:
            found[f"{one.label}/{one.ood}"] = explained.ladders[key]
    return {name: why.ladders(mine) for name, mine in found.items()}


class _Remarks:
    """Notes of people in a folder of such tables (see :mod:`ood_bench.report.notes`), by cell.

    Args:
        folder: may have a file of notes.
        shared: takes their texts.
    """

    def __init__(self, folder: Path, shared: Shared) -> None:
        self._notes, self._where, self._shared = notes.load(folder), folder / notes.FILE, shared
        self._used: set[int] = set()

    def of(self, cells: pd.DataFrame, about: Mapping[str, str]) -> Json:
        """Places of the notes of a network's cells, by method and OOD set."""
        found: dict[str, list[int]] = {}
        for one in cells.itertuples():
            names: dict[str, Sequence[str]] = {key: (value,) for key, value in about.items()}
            names |= {"block": ("",), "method": (str(one.method),), "ood": (str(one.ood), str(one.ood_images))}
            for place, note in enumerate(self._notes):
                if text := note.said(names, METRICS):
                    found.setdefault(f"{one.label}/{one.ood}", []).append(self._shared.place(text))
                    self._used.add(place)
        return found

    def refuse_unused(self) -> None:
        """Raises :class:`ConfigError` if a note is about no cell that there was."""
        for place in range(len(self._notes)):
            if place not in self._used:
                raise ConfigError(
                    f"{self._where}, note {place + 1}: there is no such cell",
                    "see the tables beside it for their names",
                )


def cells_of(results: Path, folders: Sequence[str]) -> set[str]:
    """Keys of all cells of these tables."""
    paths = [path for folder in folders for path in sorted((results / folder / "tables").glob("methods-*.csv"))]
    return {cell for path in paths for cell in _read(path)[0]["cell"]}
