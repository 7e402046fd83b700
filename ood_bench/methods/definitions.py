"""What another library's definition of a method changes: from records of both, by ``python -m ood_bench.methods``."""

import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, get_args

import numpy as np
from hydra.utils import get_class
from omegaconf import OmegaConf

from ood_bench.metrics.paired import delong_of_means
from ood_bench.papers.definitions import Measured
from ood_bench.papers.methods import in_words
from ood_bench.results import Record
from ood_bench.results.scores import Scores, ScoreStore
from ood_bench.utils.configs import conf_dir, options

PROTOCOL = "plain"
"""Records of other protocols do not count: they may score other rows."""
_FIELD = "definition"
_Set = tuple[str, int]
"""An OOD set and a seed."""


def definitions(method: str) -> tuple[str, ...]:
    """Names of a shipped method's definitions, the shipped one first; empty for a method that has one only."""
    config: Any = OmegaConf.load(conf_dir() / "method" / f"{method}.yaml")
    for item in fields(get_class(config["_target_"])):
        if item.name == _FIELD:
            return (str(item.default), *(name for name in get_args(item.type) if name != item.default))
    return ()


def compared(records: Iterable[Record], scores: ScoreStore | None = None) -> list[Measured]:
    """Every definition that was scored beside the shipped one: same network, OOD sets and seeds, nothing tuned.

    Of several settings of the shipped definition, that counts which differs least.

    Args:
        records: any records.
        scores: where scores are kept, for intervals; these are given for one seed, where both scored the same rows.
    """
    found = []
    for (method, model, images), every in _gathered(records).items():
        own = definitions(method)[0]
        shipped = {settings: cells for (definition, settings), cells in every.items() if definition == own}
        for (definition, settings), cells in every.items():
            if definition == own or not shipped:
                continue
            _, nearest = min((len(_changes(one, settings)), one) for one in shipped)
            if numbers := _numbers(shipped[nearest], cells, scores):
                words = in_words(_changes(nearest, settings))
                found.append(Measured(method, definition, words, model, images, **numbers))
    return sorted(found, key=lambda one: one.place)


def _gathered(records: Iterable[Record]) -> dict[tuple[str, str, str], dict[tuple[str, str], dict[_Set, Record]]]:
    """Records by method, model and ID images, then by definition and other settings, then by OOD set and seed."""
    shipped = {name: names[0] for name in options("method") if (names := definitions(name))}
    places: dict[tuple[str, str, str], dict[tuple[str, str], dict[_Set, Record]]] = {}
    for record in records:
        if record.method not in shipped or record.protocol != PROTOCOL:
            continue
        settings = dict(record.hyperparameters)
        definition = str(settings.pop(_FIELD, shipped[record.method]))
        if record.variant != ("" if definition == shipped[record.method] else f"as {definition}"):
            continue  # tuned, or with another score on top
        place = record.method, record.model, record.data.id_test.title
        cells = places.setdefault(place, {}).setdefault((definition, json.dumps(settings, sort_keys=True)), {})
        cells[record.data.ood.title, record.seed] = record
    return places


def _changes(first: str, second: str) -> dict[str, Any]:
    """Settings of the second that the first lacks or has otherwise."""
    before = json.loads(first)
    return {name: value for name, value in json.loads(second).items() if before.get(name) != value}


def _numbers(shipped: Mapping[_Set, Record], other: Mapping[_Set, Record], scores: ScoreStore | None) -> dict[str, Any]:
    """Fields of :class:`Measured`; nothing without a common OOD set."""
    both = sorted(shipped.keys() & other.keys())
    if not both:
        return {}
    before, after = (statistics.fmean(cells[key].exact["auroc"].value for key in both) for cells in (shipped, other))
    numbers = {"sets": len({ood for ood, _ in both}), "shipped": before, "other": after, "difference": after - before}
    interval = _interval([(shipped[key], other[key]) for key in both], scores)
    return numbers | (dict(zip(("low", "high"), interval, strict=True)) if interval else {})


def _interval(pairs: list[tuple[Record, Record]], store: ScoreStore | None) -> tuple[float, float] | None:
    """Ends of the difference's 95 % interval by DeLong, if scores of the same rows are kept."""
    if store is None or len({record.seed for record, _ in pairs}) > 1:
        return None
    found = []
    for pair in pairs:
        before, after = (store.read(record.cell_key) for record in pair)
        if before is None or after is None or not _same_rows(before, after):
            return None
        found.append((before, after))
    ids = [before.id_rows for before, _ in found]
    if any(not np.array_equal(ids[0], rows) for rows in ids):  # type: ignore[arg-type] # they are arrays
        return None
    test = delong_of_means(*([(pair[side].id, pair[side].ood) for pair in found] for side in (1, 0)))
    return test.low, test.high


def _same_rows(first: Scores, second: Scores) -> bool:
    """Whether both say which rows they are of, and those are the same in the same order."""
    pairs = (first.id_rows, second.id_rows), (first.ood_rows, second.ood_rows)
    return all(one is not None and other is not None and np.array_equal(one, other) for one, other in pairs)
