"""Numbers and Markdown tables as text that is aligned in a terminal and renders on GitHub."""

import re
import textwrap
from collections.abc import Collection, Iterable, Sequence

from ood_bench.metrics import SELECTIVE
from ood_bench.report.rows import Row, Stat
from ood_bench.results.schema import Metric
from ood_bench.utils.printable import printable

_DECIMALS = 2
_ORDER = (
    *("auroc", "auprc", "aupr_in", "aupr_out", "fpr80", "fpr95", "tnr95", "detection_error", "detection_accuracy"),
    *SELECTIVE,
)
_TITLES = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "auprc_in": "AUPRC-In",
    "auprc_out": "AUPRC-Out",
    "aupr_in": "AUPR-In",
    "aupr_out": "AUPR-Out",
    "fpr80": "FPR80",
    "fpr95": "FPR95",
    "tnr95": "TNR95",
    "detection_error": "Det. error",
    "detection_accuracy": "Det. accuracy",
    "auprc_out_ratio_1to5": "AUPRC-Out 1:5",
    "train_accuracy": "Train top-1",
    "id_accuracy": "Test top-1",
    "aurc": "AURC",
    "augrc": "AUGRC",
    "scod_aurc": "SCOD-AURC",
    "scod_augrc": "SCOD-AUGRC",
    "oscr": "OSCR",
    "auroc_correct": "AUROC correct",
    "auroc_wrong": "AUROC wrong",
    "autc": "AUTC",
    "tpr95_transferred": "TPR transferred",
    "fpr95_transferred": "FPR transferred",
}
MAIN = ("auroc", "aupr_in", "aupr_out", "auprc", "fpr95")
"""Metrics that are shown of results of no paper, if they were measured; records hold more."""
NOTHING = "–"
_WIDTH = 110
_MARKUP = re.compile(r"\s*([-+*>=]|#+|\d+[.)])(\s|$)")


def metric_title(metric: str) -> str:
    """A metric's name as tables print it."""
    return _TITLES.get(metric, metric.replace("_", " "))


def metric_order(metrics: Iterable[str]) -> list[str]:
    """Metric names without repetition, the usual ones first and in the usual order."""
    return sorted(set(metrics), key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))


def decimals(printed: str | None) -> int:
    """How many decimals ours is shown with: those of the paper, but two at least."""
    return max(_DECIMALS, len((printed or "").partition(".")[2]))


def number(value: float, places: int, sign: bool = False) -> str:
    """``value`` with fixed decimals, never a negative zero; with ``sign`` a plus before what is above zero."""
    text = f"{value:.{places}f}"
    if float(text) == 0:
        return text.removeprefix("-")
    return f"+{text}" if sign and value > 0 else text


def spread(stat: Stat, places: int) -> str:
    """Mean ± std (n), n networks; mean (1) for one."""
    middle = "" if stat.shown_std is None else f" ± {number(stat.shown_std, places)}"
    return f"{number(stat.mean, places)}{middle} ({stat.n})"


def ours(row: Row, metric: str, places: int) -> str:
    """A row's cell of our own results."""
    if not row.records:
        return "not run"
    stat = row.stat(metric)
    return spread(stat, places) if stat else "not measured"


def interval(stat: Stat | Metric | None) -> str:
    """The bootstrap interval of a row or record, or a dash."""
    if stat is None or stat.low is None or stat.high is None:
        return NOTHING
    return f"[{number(stat.low, _DECIMALS)}, {number(stat.high, _DECIMALS)}]"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[int]) -> str:
    """A Markdown table with padded cells.

    Args:
        header: column titles.
        rows: cells, as many a row as there are titles.
        left: numbers of the columns that are set to the left; the others are set to the right.
    """
    cells = [[_text(cell).replace("\\|", "&#92;|").replace("|", "\\|") for cell in line] for line in (header, *rows)]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]

    def line(texts: Sequence[str]) -> str:
        sides = [
            text.ljust(width) if column in left else text.rjust(width)
            for column, (text, width) in enumerate(zip(texts, widths, strict=True))
        ]
        return f"| {' | '.join(sides)} |"

    dashes = ["-" * (width - 1) for width in widths]
    rule = [f":{dash}" if column in left else f"{dash}:" for column, dash in enumerate(dashes)]
    return "\n".join([line(cells[0]), line(rule), *map(line, cells[1:])])


def _text(text: str) -> str:
    """One line of Markdown that holds no HTML and nothing that steers a terminal, whatever a record says."""
    return printable(re.sub(r"[^\S ]+", " ", text), keep="").replace("<", "&lt;")


def paragraph(text: str, first: str = "", later: str = "") -> str:
    """``text`` in lines that fit a terminal; left whole where a line would then start like a list or a heading.

    Args:
        text: one paragraph of Markdown.
        first: what stands before its first line, as in ``"- "``.
        later: what stands before the others.
    """
    text = _text(" ".join(text.split()))
    whole = textwrap.fill(
        text, _WIDTH, initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )
    lines = whole.split("\n")[1:]
    return first + text if any(_MARKUP.match(line) for line in lines) else whole


def bullet(text: str, level: int = 0) -> str:
    """One item of a Markdown list; a full stop is added to a sentence that lacks one."""
    indent = "  " * level
    ended = text if text.endswith((".", ":", "*")) else f"{text}."
    return paragraph(ended, f"{indent}- ", f"{indent}  ")
