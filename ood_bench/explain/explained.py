"""The ladder of a cell: its rungs in words, what is missing, and what is left to the published number."""

import statistics
from collections.abc import Sequence
from dataclasses import replace

from ood_bench.explain import words
from ood_bench.explain.cells import EXACT, PAPER
from ood_bench.explain.ends import End
from ood_bench.explain.explanation import Explanation, Missing, Recorded, Unexplained
from ood_bench.explain.ladder import Choice, Flipped, Ladder, climb
from ood_bench.explain.mixed import Mixed
from ood_bench.explain.plan import Plan, planned
from ood_bench.explain.rebuilt import Rebuilt
from ood_bench.explain.rules import asked
from ood_bench.report.rule import Published, half_width, rounding
from ood_bench.results import Record
from ood_bench.scoring.kept import NotKeptError

NETWORKS = "networks"
_FORWARD = 3  # a training step costs about three forward passes
_AGREES = 1e-6
_PRECISIONS = {EXACT: "float64, free of artificial ties", PAPER: "float32, as papers' code has it"}


def explain(
    mixed: Mixed,
    peers: Sequence[Mixed] = (),
    printed: str | None = None,
    *,
    runs: int = 1,
    images: str = "",
    lost: bool = False,
) -> Explanation:
    """Climbs from one evaluation of a cell to another.

    Args:
        mixed: the cell's two evaluations.
        peers: those of the row's other networks; the last rung is the mean over all.
        printed: the published number for the end, as printed, in the end's metric.
        runs: how many runs it is the mean of.
        images: variant of the image sets that it is of, where that is not the official release.
        lost: whether there are further networks of which nothing was kept.

    Raises:
        NotKeptError: if the scores of neither end were kept.
    """
    plan = planned(mixed)
    whole = [one for one in peers if _obstacle(one, plan) is None]
    everyone = [mixed, *whole]
    lost = lost or len(whole) < len(peers)
    missing = [Missing(NETWORKS, "scores of some of the row's other networks were not kept")] if lost else []
    rules = mixed.rule_choices()
    choices = [_data_choice(mixed, group) for group in plan.groups]
    choices += [_rule_choice(mixed, name) for name in rules]
    if len(everyone) > 1:
        seed = f"one, seed {mixed.ends[1].cell.record.seed}"
        choices.append(Choice(NETWORKS, seed, f"mean over {len(everyone)}"))

    def value(flipped: Flipped) -> float | None:
        mean = len(choices) - 1 in flipped and len(everyone) > 1
        found = [_value(one, plan, rules, flipped) for one in (everyone if mean else everyone[:1])]
        known = [number for number in found if number is not None]
        return statistics.fmean(known) if len(known) == len(found) else None

    ladder = climb(choices, value)
    missing = [
        *(_missing(name, error, mixed) for name, error in plan.lacking.items()),
        *(Missing("setting", one.lacks) for one in mixed.ends if one.lacks),
        *missing,
        *_pixels(mixed.ends[1], images),
    ]
    end = frozenset(range(len(plan.groups) + len(rules)))
    values = [number for one in everyone if (number := _value(one, plan, rules, end)) is not None]
    return Explanation(
        cell_key=mixed.ends[1].cell.record.cell_key,
        title=mixed.ends[1].cell.title,
        metric=mixed.metrics[0],
        metric_there=mixed.metrics[1],
        start=mixed.ends[0].title,
        end=mixed.ends[1].title,
        ladder=ladder,
        missing=tuple(missing),
        recorded=tuple(_recorded(mixed, plan, value(frozenset()), value(end))),
        unexplained=None if printed is None else _unexplained(mixed, ladder, values, printed, runs),
    )


def _obstacle(mixed: Mixed, plan: Plan) -> NotKeptError | None:
    """What keeps another network from being climbed by the same plan, if anything."""
    sides = [plan.sides(plan.groups[:done]) for done in range(len(plan.groups) + 1)]
    return next((error for side in sides if (error := mixed.why_not(side)) is not None), None)


def _value(mixed: Mixed, plan: Plan, rules: Sequence[str], flipped: Flipped) -> float | None:
    """One network's number with some rungs taken."""
    count = len(plan.groups)
    sides = plan.sides([group for place, group in enumerate(plan.groups) if place in flipped])
    start, end = mixed.rules
    taken = {name: getattr(end, name) for place, name in enumerate(rules, count) if place in flipped}
    return mixed.value(sides, replace(start, **taken))


def _data_choice(mixed: Mixed, group: Sequence[str]) -> Choice:
    """A rung of what is scored, in words."""
    one, other = mixed.ends
    said = {
        "rows": (one.rows_in_words, other.rows_in_words),
        "fit rows": tuple(_fit_rows(end.cell.train_rows) for end in (one, other)),
        "setting": _settings_in_words(one, other),
        "ranked numbers": tuple(_PRECISIONS.get(end.precision, end.precision) for end in (one, other)),
    }
    before, after = ("; ".join(said[name][side] for name in group) for side in (0, 1))
    return Choice(" and ".join(group), before, after)


def _fit_rows(count: int | None) -> str:
    return "all training images" if count is None else f"the first {count:,} training images"


def _rule_choice(mixed: Mixed, name: str) -> Choice:
    """A rung of the metric convention, in words."""
    before, after = (words.rule_value(name, getattr(side, name)) for side in mixed.rules)
    return Choice(words.RULES[name], before, after)


def _settings_in_words(one: End, other: End) -> tuple[str, str]:
    if one.cell.record is other.cell.record:
        return one.setting_in_words(other.values), other.setting_in_words(one.values)
    first, second = ({**_identity(end.cell.record), "setting": end.setting_in_words()} for end in (one, other))
    differing = [name for name in first if first[name] != second[name]] or ["record"]
    first["record"], second["record"] = one.cell.record.cell_key, other.cell.record.cell_key
    before, after = (", ".join(end[name] for name in differing) for end in (first, second))
    return before, after


def _identity(record: Record) -> dict[str, str]:
    """What may differ between two records beside rows and convention."""
    return {
        "method": f"{record.method} {record.variant}".rstrip(),
        "network": f"{record.model} {record.checkpoint.identity[:8]}",
        "seed": f"seed {record.seed}",
        "images": record.data.ood.title,
    }


def _missing(name: str, error: NotKeptError, mixed: Mixed) -> Missing:
    banks, rate = mixed.ends[1].cell.banks, None
    if isinstance(banks, Rebuilt):
        rate = (banks.scorer.classifier.card.get("speed") or {}).get("images_per_second")
    why = f"{error.what};" if error.images else error.what
    return Missing(name, why, error.images, error.images / (_FORWARD * rate) if rate and error.images else None)


def _pixels(end: End, official: str) -> list[Missing]:
    """That the images are not the official release: what other pixels would change needs them, and a pass."""
    data = end.cell.record.data
    used = [one for one in (data.id_test, data.ood) if one.variant not in ("", official)]
    return [
        Missing(f"images of {one.name}", f"not the official release ({one.variant}); others take", one.n)
        for one in used
    ]


def _recorded(mixed: Mixed, plan: Plan, first: float | None, last: float | None) -> list[Recorded]:
    """The numbers of records for the two ends, where an end is as a record has it."""
    found = []
    for place, (end, metric, number) in enumerate(zip(mixed.ends, mixed.metrics, (first, last), strict=True)):
        record = end.cell.record
        if not end.recorded or metric not in record.metrics:
            continue
        value = record.metrics[metric].value
        value = 100 - value if asked(metric).complement != mixed.asked.complement else value
        whole = all(plan.fixed.get(name, bool(place)) == bool(place) for name in plan.lacking)
        agrees = None if not whole or number is None else abs(number - value) <= _AGREES
        found.append(Recorded(end.title, value, agrees))
    return found


def _unexplained(mixed: Mixed, ladder: Ladder, values: Sequence[float], printed: str, runs: int) -> Unexplained | None:
    if ladder.end is None:
        return None
    theirs = float(printed)
    if asked(mixed.metrics[1]).complement != mixed.asked.complement:
        theirs = 100 - theirs
        printed = f"{theirs:.{len(printed.partition('.')[2])}f}"
    std = statistics.stdev(values) if len(values) > 1 else None
    chance = None if std is None else half_width(std, len(values), Published(theirs, rounding(printed), runs))
    return Unexplained(printed, theirs - ladder.end, std, len(values), chance)
