"""Tables of two conventions beside each other, as a Markdown page and a CSV file."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Final

from ood_bench.explain.beside import MEAN, Beside, Two, in_common
from ood_bench.explain.rules import changed, name_in, rules_of
from ood_bench.explain.words import RULES, rule_value
from ood_bench.report.csv_files import as_csv
from ood_bench.report.format import NOTHING, bullet, markdown_table, metric_title, paragraph
from ood_bench.report.format import number as printed

_ORDER: Final = "auroc"  # which all conventions have
_PLACES, _CSV_PLACES = 2, 4
_ABOUT = (
    "Each number is computed twice from the same scores, in percent: in the metric convention `{first}` and in "
    "`{second}`. Differences are `{second}` minus `{first}`, in points; a dash stands where a convention has no number "
    "for these scores. Rows and hyperparameters are those of the records. Two methods change places where one is ahead "
    "under `{first}` and behind under `{second}`. What differs, and nothing else:"
)


def files(tables: Sequence[Beside]) -> dict[str, str]:
    """A Markdown page and a CSV file of all tables, by file name."""
    first, second = tables[0].conventions
    about = paragraph(_ABOUT.format(first=first, second=second))
    title = f"# The conventions {first} and {second} on the same scores"
    page = "\n\n".join([title, about, _choices(first, second), *map(_section, tables)])
    columns = ["id_images", "model", "protocol", "ood", "method"]
    columns += [f"{metric}_{convention}" for metric in tables[0].numbers for convention in (first, second)]
    lines = [line for one in tables for line in _lines(one)]
    return {f"{first}-{second}.md": f"{page}\n", f"{first}-{second}.csv": as_csv(columns, lines)}


def _choices(first: str, second: str) -> str:
    """A line a metric: the choices in which the conventions differ, which are a page's only difference."""
    lines = []
    for metric in in_common((first, second)):
        grid = {"row": "odin", "classes": 0, "grid": "data"}
        one, other = (rules_of(name, name_in(name, metric), grid) for name in (first, second))
        words = [
            f"{RULES[name]}: {rule_value(name, getattr(one, name))}, {rule_value(name, getattr(other, name))}"
            for name in changed(one, other)
        ]
        lines.append(bullet(f"{metric_title(metric)}: {'; '.join(words) or 'the same'}"))
    return "\n".join(lines)


def _lines(one: Beside) -> Iterable[dict[str, str]]:
    place = {"id_images": one.images, "model": one.model, "protocol": one.protocol}
    for method in one.numbers[_ORDER]:
        for ood in (MEAN, *one.oods):
            line = {**place, "ood": ood, "method": method}
            for metric in one.numbers:
                for convention, value in zip(one.conventions, one.numbers[metric][method][ood], strict=True):
                    line[f"{metric}_{convention}"] = "" if value is None else printed(value, _CSV_PLACES)
            yield line


def _section(one: Beside) -> str:
    parts = [
        f"## {one.model}, {one.images}, protocol {one.protocol}",
        paragraph(f"Mean over {len(one.oods)} OOD sets: {', '.join(one.oods)}."),
        _table_of_means(one),
        "Least / median / greatest difference over methods, and pairs of methods that change places:",
        _table_of_changes(one),
        f"Difference of {metric_title('fpr95')} on each OOD set:",
        _table_of_differences(one, "fpr95"),
    ]
    return "\n\n".join(parts)


def _short(oods: Sequence[str]) -> list[str]:
    """Names of OOD sets without their variants, where these still tell them apart."""
    names = [ood.partition(" (")[0] for ood in oods]
    return names if len(set(names)) == len(names) else list(oods)


def _table_of_means(one: Beside) -> str:
    """A row for each method, best mean AUROC first."""
    best = sorted(one.numbers[_ORDER].items(), key=lambda item: item[1][MEAN][1] or 0, reverse=True)
    header = ["Method"]
    for metric in one.numbers:
        header += [f"{metric_title(metric)} {one.conventions[0]}", one.conventions[1], "diff."]
    rows = []
    for method, _ in best:
        pairs = [one.numbers[metric][method][MEAN] for metric in one.numbers]
        rows.append([method, *(text for pair in pairs for text in (*map(_text, pair), _difference(pair)))])
    return markdown_table(header, rows, left=[0])


def _table_of_changes(one: Beside) -> str:
    header = ["OOD set", *(f"{metric_title(metric)} {what}" for metric in one.numbers for what in ("diff.", "pairs"))]
    rows = []
    for ood, name in zip((MEAN, *one.oods), (MEAN, *_short(one.oods)), strict=True):
        row = [name]
        for metric in one.numbers:
            found = one.differences(metric, ood)
            ends = (min(found), statistics.median(found), max(found)) if found else ()
            changed, pairs = one.changed(metric, ood)
            row += [" / ".join(printed(end, _PLACES, sign=True) for end in ends) or NOTHING, f"{changed} of {pairs}"]
        rows.append(row)
    return markdown_table(header, rows, left=[0])


def _table_of_differences(one: Beside, metric: str) -> str:
    rows = [[name, *(_difference(mine[ood]) for ood in one.oods)] for name, mine in one.numbers[metric].items()]
    return markdown_table(["Method", *_short(one.oods)], rows, left=[0])


def _text(value: float | None) -> str:
    return NOTHING if value is None else printed(value, _PLACES)


def _difference(pair: Two) -> str:
    first, second = pair
    return NOTHING if first is None or second is None else printed(second - first, _PLACES, sign=True)
