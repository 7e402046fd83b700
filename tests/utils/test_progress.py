import io
import logging
import re
import sys
import time
import types
from importlib.machinery import ModuleSpec

import pytest
from rich.console import Console

from ood_bench.utils import progress
from ood_bench.utils.progress import LogHandler, Ticker, ticking


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(progress.time, "monotonic", made)
    return made


@pytest.fixture
def terminal(monkeypatch):
    """What the console writes, as if there were a terminal."""
    stream = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=stream, force_terminal=True, width=120))
    return stream


def test_without_a_terminal_a_line_now_and_then(clock, caplog):
    caplog.set_level(logging.INFO)
    with ticking("scoring mnist", 1000, "images") as ticker:
        for _ in range(10):
            clock.now += 4.0
            ticker.advance(100, "epoch 1/3")
    assert caplog.messages == [
        "scoring mnist: 400 of 1000 images, 25/s, 24 s left, epoch 1/3",
        "scoring mnist: 800 of 1000 images, 25/s, 8 s left, epoch 1/3",
    ]


def test_short_work_says_nothing(clock, caplog):
    caplog.set_level(logging.INFO)
    with ticking("scoring mnist", 10, "images") as ticker:
        for _ in range(10):
            clock.now += 1.0
            ticker.advance(1)
    assert caplog.messages == []


def test_no_time_at_all_is_no_division_by_zero(clock, caplog):
    caplog.set_level(logging.INFO)
    ticker = Ticker("x", 0, "images", None)
    ticker.advance(0)
    clock.now += 20
    ticker.advance(0)
    assert caplog.messages == ["x: 0 of 0 images, 0/s, 0 s left"]


def test_on_a_terminal_a_bar_with_rate_and_remaining_time(terminal):
    with ticking("scoring mnist", 4, "images") as ticker:
        for number in range(4):
            time.sleep(0.03)
            ticker.advance(1, f"batch {number}")
            progress.console.file.flush()
    shown = terminal.getvalue()
    for part in ("scoring mnist", "images/s", "batch 3", "4/4", "0:00:00"):
        assert part in shown


@pytest.mark.parametrize("width", [60, 80])
def test_count_rate_and_time_left_survive_in_a_narrow_terminal(monkeypatch, clock, width):
    stream = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=stream, force_terminal=True, width=width))
    with ticking("training densenet_bc_100_12 on cifar10, seed 0", 15_000_000, "images") as ticker:
        clock.now += 100
        ticker.advance(7_000_000, "epoch 12/300, loss 0.1234")
    shown = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", stream.getvalue())
    assert re.search(r"trai.*… \S* +7000000/15000000 \S+ images/s [\d:-]+ epoch.*…", shown)


def test_in_a_notebook_one_widget_and_nothing_is_left_of_it(monkeypatch, clock):
    """IPython and ipywidgets are stood in for by what rich calls of them."""
    shown, drawn, widgets = [], [], []

    class Output:
        closed = entered = False

        def __enter__(self):
            self.entered = True

        def __exit__(self, *_):
            self.entered = False

        def clear_output(self, *, wait):
            assert wait
            drawn.clear()

        def close(self):
            self.closed = True

    def display(what):
        if isinstance(what, Output):
            widgets.append(what)
        else:
            (drawn if widgets and widgets[-1].entered else shown).append(what)

    for name, content in {
        "IPython": {},
        "IPython.display": {"display": display},
        "ipywidgets": {"Output": Output},
    }.items():
        module = types.ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(progress, "console", type(progress.console)(force_jupyter=True))
    with ticking("scoring mnist", 4, "images") as ticker:
        for _ in range(4):
            clock.now += 1
            ticker.advance(1)
    (widget,) = widgets
    assert widget.closed
    assert [one.text for one in shown] == []
    (bar,) = drawn
    assert re.search(r"^scoring mnist .*/4.* images/s ", bar.text)


def test_log_lines_share_the_console_of_the_bars(capsys):
    logger = logging.getLogger("ood_bench.test_progress")
    handler = LogHandler()
    logger.addHandler(handler)
    try:
        logger.warning("a line with [brackets] and 100 %% sure: %s", "[bold]plain[/bold]")
    finally:
        logger.removeHandler(handler)
    assert handler.console is progress.console
    out, err = capsys.readouterr()
    assert out == ""
    assert "a line with [brackets] and 100 % sure: [bold]plain[/bold]" in " ".join(err.split())


def test_a_long_line_stays_one_line_where_there_is_no_terminal(capsys):
    record = logging.LogRecord("toy", logging.INFO, "toy.py", 1, "wrote %s", ("[a]" + "/long" * 60,), None)
    LogHandler().emit(record)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("] wrote [a]" + "/long" * 60)
