"""The tables of a reproducibility report that say with what the numbers were made."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ood_bench.data.catalogue import licences
from ood_bench.errors import ArtifactError
from ood_bench.report.document import Heading, Items, Part, Table, Text
from ood_bench.report.format import NOTHING, number
from ood_bench.report.rows import Row
from ood_bench.results import Record
from ood_bench.utils.files import clear_io_errors

_DIGITS = 16
_EXPLAINED = "explain"
_UNKNOWN = "not stated"


def searches(rows: Sequence[Row]) -> Iterable[Part]:
    """What was searched: bounds, trials, chosen values, and how often a choice lies at an end of what was tried."""
    yield Heading("Searches")
    lines = []
    for row in rows:
        searched = [one for one in row.records if one.tuning and len(one.tuning.candidates) > 1]
        names = {key for one in searched if one.tuning for each in one.tuning.candidates for key in each}
        lines += [[row.label, row.ood_title, *_search(searched, name)] for name in sorted(names)]
    if not lines:
        yield Text("Nothing was searched: all settings were given beforehand.")
        return
    header = (
        "Method",
        "OOD set",
        "Setting",
        "Least",
        "Largest",
        "Values",
        "Trials",
        "Rows seen",
        "Chosen",
        "At an end",
    )
    yield Table(header, lines, numbers=(3, 4, 5, 6, 7))


def _search(records: Sequence[Record], name: str) -> list[str]:
    """One setting's search over the seeds of a row."""
    tunings = [one.tuning for one in records if one.tuning]
    tried = list({json.dumps(each.get(name)): each.get(name) for one in tunings for each in one.candidates}.values())
    numbers = [value for value in tried if isinstance(value, (int, float)) and not isinstance(value, bool)]
    ends = (min(numbers), max(numbers)) if len(numbers) == len(tried) and numbers else ()
    chosen = [one.hyperparameters.get(name) for one in records]
    counts = Counter(_short(value) for value in chosen)
    said = ", ".join(f"{value} ({times})" for value, times in sorted(counts.items()))
    at_end = f"{sum(value in ends for value in chosen)} of {len(chosen)}" if len(numbers) > 2 else NOTHING
    trials = sorted({len(one.candidates) for one in tunings})
    seen = sorted({sum(one.seen.values()) for one in tunings})
    bounds = [_short(end) for end in ends] or [NOTHING, NOTHING]
    return [name, *bounds, str(len(tried)), _range(trials), _range(seen), said, at_end]


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _range(values: Sequence[int]) -> str:
    return f"{values[0]:,}" if len(values) == 1 else f"{values[0]:,} to {values[-1]:,}"


def images(records: Sequence[Record]) -> Iterable[Part]:
    """The image sets with licence and hash."""
    known = licences()
    found = {(role, used.title): used for record in records for role, used in record.data.by_role}
    lines = [
        [role, title, f"{used.n:,}", _licence(known, used.name, used.variant), _hash(used.fingerprint)]
        for (role, title), used in sorted(found.items(), key=lambda one: one[0])
    ]
    yield Heading("Data", 2)
    header = ("Role", "Set", "Images", "Licence", "SHA-256 of pixels and labels")
    yield Table(header, lines, numbers=(2,))


def _licence(known: dict[str, dict[str, str]], name: str, variant: str) -> str:
    by_variant = known.get(name, {})
    return by_variant.get(variant) or next(filter(None, by_variant.values()), "") or _UNKNOWN


def _hash(sha256: str | None) -> str:
    return (sha256 or NOTHING)[:_DIGITS]


def weights(records: Sequence[Record]) -> Iterable[Part]:
    """Every network with its seed, accuracy, training time and hash."""
    networks = {one.identity: one for record in records for one in record.checkpoint.networks}
    ordered = sorted(networks.values(), key=lambda one: (one.model, one.recipe, one.seed, one.identity))
    lines = [
        [
            one.model, one.recipe, str(one.seed), str(one.epochs),
            NOTHING if one.id_accuracy is None else number(one.id_accuracy, 2),
            number(one.trained_seconds, 1), _hash(one.weights_sha256),
        ]
        for one in ordered
    ]  # fmt: skip
    yield Heading("Networks and seeds", 2)
    header = ("Model", "Recipe", "Seed", "Epochs", "ID accuracy, %", "Training, s", "SHA-256 of weights")
    yield Table(header, lines, numbers=(2, 3, 4, 5))


def compute(records: Sequence[Record]) -> Iterable[Part]:
    """Time, machines and versions."""
    networks = {one.identity: one for record in records for one in record.checkpoint.networks}
    trained = sum(one.trained_seconds for one in networks.values())
    scored = sum(record.seconds for record in records)
    yield Heading("Compute", 2)
    yield Text(
        f"Training took {number(trained, 0)} s for {len(networks)} networks, scoring {number(scored, 0)} s for "
        f"{len(records)} records."
    )
    machines: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        where = record.environment
        revision = where.git_revision[:12] + (" with changes" if where.git_dirty else "")
        threads = NOTHING if where.threads is None else str(where.threads)
        machines.setdefault((where.device, where.cpu or where.platform, threads, revision), []).append(record)
    lines = [
        [*where, str(len(mine)), number(sum(one.seconds for one in mine), 0)]
        for where, mine in sorted(machines.items())
    ]
    yield Table(("Device", "Processor", "Threads", "Revision", "Records", "Scoring, s"), lines, numbers=(2, 4, 5))
    versions = {
        f"Python {one.environment.python}, "
        + ", ".join(f"{name} {version}" for name, version in sorted(one.environment.packages.items()))
        for one in records
    }
    yield Items(sorted(versions))


def ladders(results: Path, records: Sequence[Record]) -> Iterable[Part]:
    """The ladders that ``RESULTS/explain`` has for these cells: what each choice changes; nothing where there are none.

    Raises:
        ArtifactError: if a file there is damaged.
    """
    cells, found = {record.cell_key for record in records}, []
    for path in sorted((results / _EXPLAINED).glob("*.json")):
        with clear_io_errors("read a ladder", path):
            text = path.read_text(encoding="utf-8")
        try:
            found += [(one, _rungs(one)) for one in json.loads(text) if one["cell_key"] in cells]
        except (ValueError, TypeError, KeyError) as error:
            raise ArtifactError(f"{path}: no ladders of `ood-bench explain` ({error!r}): delete it") from error
    if found:
        yield Heading("Ladders from our number to theirs", 2)
    for one, lines in found:
        yield Text(f"{one['title']}, {one['metric']}, from {one['start']} to {one['end']}:")
        yield Table(("Choice", "From", "To", "Value", "Change"), lines, numbers=(3, 4))


def _rungs(explanation: Any) -> list[list[str]]:
    """A line for each choice that changes the number."""
    rungs = [one for one in explanation["ladder"]["rungs"] if one["step"]]
    lines = [[one["choice"][key] for key in ("name", "before", "after")] for one in rungs]
    values = [[number(one["value"], 2), number(one["step"], 2, sign=True)] for one in rungs]
    return [[*words, *numbers] for words, numbers in zip(lines, values, strict=True)]
