"""Progress of long work: a bar with rate and remaining time on a terminal, plain log lines elsewhere."""

import contextlib
import importlib.util
import logging
import time
from collections.abc import Iterator

from rich.console import Console
from rich.highlighter import NullHighlighter
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column

from ood_bench.utils.printable import printable

_log = logging.getLogger(__name__)
_PLAIN_SECONDS = 15.0


class _Console(Console):
    """A console that shows nothing in a notebook where it only moves the cursor: rich leaves an empty output there."""

    def _check_buffer(self) -> None:
        if self.is_jupyter and all(segment.control or not segment.text for segment in self._buffer):
            self._buffer.clear()
        else:
            super()._check_buffer()


console = _Console(stderr=True)
_underway: list["Ticker"] = []


def underway() -> "Ticker | None":
    """The innermost work that is going on, for reports from outside."""
    return _underway[-1] if _underway else None


class LogHandler(RichHandler):
    """Log lines on standard error, on the console that also draws the bars, so that neither tears the other."""

    def __init__(self) -> None:
        super().__init__(
            console=console, show_path=False, show_level=False, markup=False, highlighter=NullHighlighter()
        )

    def format(self, record: logging.LogRecord) -> str:
        """The line, safe for a terminal."""
        return printable(super().format(record))

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the record; in a file or a pipe as one line, so that paths in it stay whole."""
        if self.console.is_terminal:
            super().emit(record)
            return
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        try:
            self.console.print(f"[{moment}] {self.format(record)}", soft_wrap=True, markup=False, highlight=False)
        except OSError:  # a full disk, a terminal that is gone
            self.handleError(record)


class Ticker:
    """Counts finished units of one piece of long work.

    Args:
        description: what is going on, in a few words.
        total: number of units in all.
        unit: the unit's name, plural, as in ``"images"``.
        bar: the bar to draw on, or none for plain lines.
    """

    def __init__(self, description: str, total: int, unit: str, bar: Progress | None) -> None:
        self._description, self._total, self._unit, self._bar = description, total, unit, bar
        self._done, self._note = 0, ""
        self._start = self._spoke = time.monotonic()
        self._task = None if bar is None else bar.add_task(description, total=total, rate=f"- {unit}/s", note="")

    def advance(self, units: int, note: str = "") -> None:
        """Adds finished units; ``note`` (a loss, say) is shown beside the rate."""
        self._done += units
        self._note = note
        now = time.monotonic()
        rate = self._done / max(now - self._start, 1e-9)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done, rate=f"{rate:,.0f} {self._unit}/s", note=note)
        elif now - self._spoke > _PLAIN_SECONDS:
            self._spoke = now
            left = (self._total - self._done) / max(rate, 1e-9)
            text = "%s: %d of %d %s, %.0f/s, %.0f s left%s"
            after = f", {note}" if note else ""
            said = text % (self._description, self._done, self._total, self._unit, rate, left, after)
            if console.is_jupyter:  # where nobody has set the log up
                console.print(said, markup=False, highlight=False)
            else:
                _log.info("%s", said)

    def report(self) -> dict[str, str | int | float]:
        """Where the work stands, JSON-able."""
        seconds = time.monotonic() - self._start
        where = {"what": self._description, "note": self._note, "unit": self._unit}
        return {**where, "done": self._done, "total": self._total, "seconds": round(seconds, 1)}


def _columns() -> tuple[ProgressColumn, ...]:
    """What a bar shows; where there is little room the bar shrinks first, then the description and the note."""

    def whole() -> Column:
        return Column(no_wrap=True)

    def cut() -> Column:
        return Column(no_wrap=True, overflow="ellipsis", ratio=3)

    return (
        TextColumn("{task.description}", table_column=cut()),
        BarColumn(bar_width=None, table_column=Column(ratio=2, min_width=4)),
        MofNCompleteColumn(table_column=whole()),
        TextColumn("{task.fields[rate]}", table_column=whole()),
        TimeRemainingColumn(table_column=whole()),
        TextColumn("{task.fields[note]}", table_column=cut()),
    )


def _draws() -> bool:
    """Whether a bar can be drawn: on a terminal, and in a notebook that has ipywidgets."""
    return console.is_terminal or (console.is_jupyter and importlib.util.find_spec("ipywidgets") is not None)


@contextlib.contextmanager
def ticking(description: str, total: int, unit: str) -> Iterator[Ticker]:
    """Shows the progress of the block; see :class:`Ticker` for the arguments."""
    bar = Progress(*_columns(), console=console, transient=True, expand=True) if _draws() else None
    with bar or contextlib.nullcontext():
        ticker = Ticker(description, total, unit, bar)
        _underway.append(ticker)
        try:
            yield ticker
        finally:
            _underway.remove(ticker)
