"""Ctrl-C: the first one stops the work in an orderly way and a second press of the same moment does not disturb it."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from types import FrameType

from ood_bench.utils.console import INTERRUPTED

PATIENCE = 3.0
"""Seconds in which further interrupts count as the first one; after them, one ends the process at once."""
_GOES_ON = "the same command goes on from the last whole epoch, bank and record"
HINT = f"interrupted: {_GOES_ON}"


@contextlib.contextmanager
def orderly_interrupt() -> Iterator[None]:
    """Raises :class:`KeyboardInterrupt` once in the block, however often and fast Ctrl-C is pressed.

    Were it raised again, locks and heartbeats would be left as they are, and the message would be missing. Where Ctrl-C
    is ignored or handled already, as in a background job, it stays so.
    """
    first: float | None = None

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal first
        if first is None:
            first = time.monotonic()
            raise KeyboardInterrupt
        if time.monotonic() - first > PATIENCE:
            os.write(2, f"interrupted again, ended at once: {_GOES_ON}\n".encode())
            os._exit(INTERRUPTED)

    try:
        free = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        before = signal.signal(signal.SIGINT, stop) if free else None
    except ValueError:  # not the main thread
        before = None
    try:
        yield
    finally:
        if before is not None and first is None:  # after an interrupt until the process has ended
            signal.signal(signal.SIGINT, before)
