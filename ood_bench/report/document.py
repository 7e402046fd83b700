"""A document as parts that are written as Markdown and as LaTeX alike."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ood_bench.report.format import bullet, markdown_table, paragraph
from ood_bench.report.latex import escaped

_LONG = 22
_BEYOND_LATIN = {
    "−": "$-$", "≥": r"$\geq$", "≤": r"$\leq$", "ε": r"$\varepsilon$", "τ": r"$\tau$", "…": r"\ldots{}", "→": r"$\to$",
    "†": r"\dag{}", "–": "--", "—": "---", "‖": r"$\Vert$",
}  # fmt: skip
_PREAMBLE = r"""% Made by ood-bench report --form mlrc; any LaTeX compiles it.
\documentclass{article}
\usepackage{iftex}
\ifPDFTeX\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}\usepackage{textcomp}\else\usepackage{fontspec}\fi
\usepackage[margin=2cm]{geometry}
\usepackage{booktabs,longtable,array}
\setlength{\emergencystretch}{3em}\setlength{\tabcolsep}{4pt}
"""


class Heading(NamedTuple):
    """A heading; of the first level where it is a section."""

    text: str
    level: int = 1


class Text(NamedTuple):
    """A paragraph; what stands between backticks is code."""

    text: str


class Items(NamedTuple):
    """A list, each item a paragraph."""

    items: Sequence[str]


class Table(NamedTuple):
    """A table whose cells are plain text.

    Attributes:
        header: column titles.
        rows: cells, as many a row as there are titles.
        numbers: places of the columns that are set to the right.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[int] = ()


Part = Heading | Text | Items | Table


def markdown(title: str, parts: Iterable[Part]) -> str:
    """The document as Markdown."""
    return "\n\n".join([f"# {title}", *map(_markdown, parts)]) + "\n"


def _markdown(part: Part) -> str:
    match part:
        case Heading(text, level):
            return f"{'#' * (level + 1)} {text}"
        case Text(text):
            return paragraph(text)
        case Items(items):
            return "\n".join(map(bullet, items))
        case Table(header, rows, numbers):
            return markdown_table(header, rows, [place for place in range(len(header)) if place not in numbers])


def latex(title: str, parts: Iterable[Part]) -> str:
    """The document as a LaTeX file of its own; needs booktabs and longtable."""
    head = [_PREAMBLE + rf"\title{{{_inline(title)}}}", r"\date{}", r"\begin{document}", r"\maketitle"]
    return "\n".join([*head, "", *(f"{_latex(part)}\n" for part in parts), r"\end{document}", ""])


def _latex(part: Part) -> str:
    match part:
        case Heading(text, level):
            return rf"\{'sub' * (level - 1)}section{{{_inline(text)}}}"
        case Text(text):
            return _inline(text)
        case Items(items):
            lines = [rf"  \item{{}} {_inline(item)}" for item in items]
            return "\n".join([r"\begin{itemize}", *lines, r"\end{itemize}"])
        case Table():
            return _table(part)


def _table(table: Table) -> str:
    head, *lines = [
        " & ".join(
            _inline(text.replace("-", "−") if place in table.numbers else text) for place, text in enumerate(row)
        )
        + r" \tabularnewline"  # two backslashes would take a [ after them for their own
        for row in (table.header, *table.rows)
    ]
    rules = [r"\toprule", head, r"\midrule", r"\endhead", *lines, r"\bottomrule"]
    inside = "\n".join(f"  {line}" for line in rules)
    return f"{{\\footnotesize\n\\begin{{longtable}}{{{_columns(table)}}}\n{inside}\n\\end{{longtable}}}}"


def _columns(table: Table) -> str:
    """Columns as wide as their text; those of long texts share what is left of the line."""
    widths = [max(map(len, column)) for column in zip(table.header, *table.rows, strict=True)]
    long = [width > _LONG for width in widths]
    taken = sum(width for width, one in zip(widths, long, strict=True) if not one)
    share = max(0.15, 0.9 - taken / 110) / max(1, sum(long))
    kinds = []
    for place, one in enumerate(long):
        short = "r" if place in table.numbers else "l"
        kinds.append(rf">{{\raggedright\arraybackslash}}p{{{share:.2f}\linewidth}}" if one else short)
    return "".join(kinds)


def _inline(text: str) -> str:
    """Plain text with code between backticks as LaTeX."""
    pieces = re.split(r"`([^`]*)`", " ".join(text.split()))
    made = [rf"\texttt{{{escaped(one)}}}" if place % 2 else escaped(one) for place, one in enumerate(pieces)]
    return "".join(_BEYOND_LATIN.get(letter, letter) for letter in "".join(made))
