"""A paper's block as a LaTeX table: the published value beside ours, to be included in a document."""

from collections.abc import Sequence

from ood_bench.report.format import NOTHING, decimals, interval, metric_title, number
from ood_bench.report.rows import Row
from ood_bench.report.sections import Section
from ood_bench.utils.printable import printable

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}",
}  # fmt: skip
_NOTHING = "--"
_MARKS = {"not reproduced": r"^{\dagger}", "undecided": r"^{?}"}
_HEAD = "% Made by ood-bench report; needs the package booktabs."


def escaped(text: str) -> str:
    r"""Plain text as LaTeX.

    >>> print(escaped("outlier_exposure, 95 %"))
    outlier\_exposure, 95 \%
    """
    return "".join(_SPECIAL.get(letter, letter) for letter in printable(text, keep=""))


def table(section: Section) -> str:
    """A paper's block as ``table`` with two columns a metric; marks say what is not reproduced, or undecided."""
    several = len({row.ood_title for row in section.rows}) > 1
    lines = [_line(row, section, several) for row in section.rows]
    return "\n".join(
        [
            _HEAD,
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{_caption(section)}}}",
            rf"  \begin{{tabular}}{{{'ll' if several else 'l'}{'rr' * len(section.metrics)}}}",
            r"    \toprule",
            *_header(section.metrics, several),
            r"    \midrule",
            *(f"    {' & '.join(cells)} \\\\" for cells in lines),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def own_table(section: Section) -> str:
    """Results of no paper as ``table`` with a column a metric: mean, deviation over networks, 95 % interval."""
    several = len({row.ood_title for row in section.rows}) > 1
    spread = r"mean $\pm$ sample standard deviation over networks, in brackets the 95 \% bootstrap interval over images"
    header = ["Method", *(["OOD set"] if several else []), *map(metric_title, section.metrics)]
    lines = [
        [row.label, *([row.ood_title] if several else [])] + [_measured(row, metric) for metric in section.metrics]
        for row in section.rows
    ]
    columns = "ll" if several else "l"
    return "\n".join(
        [
            _HEAD,
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{escaped(section.title)}; in percent, {spread}.}}",
            rf"  \begin{{tabular}}{{{columns}{'r' * len(section.metrics)}}}",
            r"    \toprule",
            f"    {' & '.join(map(escaped, header))} \\\\",
            r"    \midrule",
            *(f"    {' & '.join([*map(escaped, line[: len(columns)]), *line[len(columns) :]])} \\\\" for line in lines),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _measured(row: Row, metric: str) -> str:
    if (stat := row.stat(metric)) is None:
        return _NOTHING
    spread = "" if stat.std is None else rf" \pm {number(stat.std, 2)}"
    between = f" {interval(stat)}" if interval(stat) != NOTHING else ""
    return f"${number(stat.mean, 2)}{spread}${between}"


def _caption(section: Section) -> str:
    block = section.block
    reference = f" Published: {escaped(block.reference)}." if block else ""
    kind = block.spread if block else "sample"
    return (
        f"{escaped(section.title)}.{reference} Ours: mean $\\pm$ {kind} standard deviation over networks, in percent; "
        rf"$\dagger$: not reproduced; $?$: undecided (margin {section.margins}). "
        f"Verdicts: {section.verdicts}."
    )


def _header(metrics: Sequence[str], several: bool) -> list[str]:
    first = " & " if several else ""
    names = " & ".join(rf"\multicolumn{{2}}{{c}}{{{escaped(metric_title(metric))}}}" for metric in metrics)
    titles = ["Method", *(["OOD set"] if several else []), *(["paper", "ours"] * len(metrics))]
    return [f"    {first} & {names} \\\\", f"    {' & '.join(titles)} \\\\"]


def _line(row: Row, section: Section, several: bool) -> list[str]:
    cells = [escaped(row.label), *([escaped(row.ood_title)] if several else [])]
    for metric in section.metrics:
        printed = section.printed(row, metric)
        cells += [printed or _NOTHING, _ours(row, metric, printed, section.judge(row, metric).verdict.conclusion)]
    return cells


def _ours(row: Row, metric: str, printed: str | None, conclusion: str) -> str:
    stat = row.stat(metric)
    if stat is None:
        return _NOTHING
    places = decimals(printed)
    spread = "" if stat.shown_std is None else rf" \pm {number(stat.shown_std, places)}"
    return f"${number(stat.mean, places)}{spread}{_MARKS.get(conclusion, '')}$"
