import os
import signal
import subprocess
import sys
import time

import pytest

from ood_bench.cli import interrupt
from ood_bench.cli.interrupt import orderly_interrupt
from ood_bench.utils.console import one_message


@pytest.fixture(autouse=True)
def _own_handler(monkeypatch):
    """Presses here are of the same moment, however long the machine stalls: a late one would end the tests' process."""
    monkeypatch.setattr(interrupt, "PATIENCE", float("inf"))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)


def test_a_second_press_does_not_disturb_what_the_first_one_stops():
    tidied = []

    def work():
        try:
            press()
        finally:
            press()
            tidied.append("locks")
            press()
            tidied.append("heartbeat")

    with pytest.raises(KeyboardInterrupt), orderly_interrupt():
        work()
    press()
    assert tidied == ["locks", "heartbeat"]


def test_every_command_says_how_to_go_on(capsys):
    assert one_message(press)() == 130
    assert capsys.readouterr().err.endswith(
        "interrupted: what was written is whole, and the same command does the rest\n"
    )


def test_without_an_interrupt_the_handler_goes_with_the_block():
    with orderly_interrupt():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_stays_ignored_where_it_was():
    """As in a script's background job."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with orderly_interrupt():
        press()


def test_a_late_second_press_ends_the_process_at_once():
    code = """
import os, signal, time
from ood_bench.cli import interrupt
interrupt.PATIENCE = 0.05
try:
    with interrupt.orderly_interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
finally:
    time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 130
    assert done.stderr.startswith("interrupted again, ended at once: the same command goes on from")
