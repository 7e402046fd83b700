import pytest

from ood_bench.errors import DataError
from ood_bench.utils import console, progress
from ood_bench.utils.printable import inert, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("naïve 猫.png\nnext", "naïve 猫.png\nnext"),
        ("\x1b[31mred\x07\r", r"\x1b[31mred\x07\r"),
        ("a\u202egnp.exe", r"a\u202egnp.exe"),
        (b"\xe4.png".decode("utf-8", "surrogateescape"), r"\xe4.png"),
        ("\ud800", r"\ud800"),
        ("a b\u00a0c \x9b31m\t", "a b\u00a0c " + r"\x9b31m\t"),
    ],
)
def test_what_steers_a_terminal_is_escaped(text, shown):
    assert printable(text) == shown


def test_errors_and_log_lines_are_shown_escaped(monkeypatch, capsys, caplog):
    monkeypatch.setattr(progress, "console", progress.Console(stderr=True, force_terminal=False))
    console.show_error(DataError("\x1b]0;title\x07 and \udce4"))
    handler = progress.LogHandler()
    handler.emit(progress.logging.LogRecord("x", 20, "x", 1, "%s", ("\x1b[2J",), None))
    for part, value in (("handlers", []), ("level", 30)):  # a fresh process's, and put back
        monkeypatch.setattr(console.logging.getLogger(), part, value)
    console.plain_log()
    console.logging.getLogger("x").warning("%s", "\x1b[3J")
    shown = capsys.readouterr().err
    assert r"\x1b[3J" in shown
    assert r"\x1b]0;title\x07 and \xe4" in shown
    assert r"\x1b[2J" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-a", "@SUM(A1)", "\t=1"])
def test_formulas_become_text(text):
    assert inert(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-0.07", "+0.88", "a=1", "", "1e-3"])
def test_numbers_and_text_stay(text):
    assert inert(text) == text
