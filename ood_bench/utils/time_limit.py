"""A time limit for work in this process: long work asks before each part whether there is time for it."""

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar

from ood_bench.errors import OodBenchError

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


OUT_OF_TIME = 75
"""Exit status of a run or sweep that stopped for its time limit: EX_TEMPFAIL, "try again"."""


class OutOfTime(OodBenchError):  # noqa: N818 - no fault: the same command goes on where it stopped
    """The time limit does not allow the next part; everything finished is kept."""


@contextlib.contextmanager
def time_limit(minutes: float | None) -> Iterator[None]:
    """Limits the work of the block, if ``minutes`` is not none; an outer limit that ends sooner stays."""
    limits = [] if minutes is None else [time.monotonic() + 60 * minutes]
    limits += [] if (outer := _deadline.get()) is None else [outer]
    token = _deadline.set(min(limits, default=None))
    try:
        yield
    finally:
        _deadline.reset(token)


def time_for(seconds: float) -> bool:
    """Whether work of that length fits into the limit; always true without one."""
    deadline = _deadline.get()
    return deadline is None or time.monotonic() + seconds <= deadline


def reserve(seconds: float, what: str) -> None:
    """Goes on only if work of that length fits into the limit.

    Args:
        seconds: how long it will take, as far as known.
        what: the work, for the message.

    Raises:
        OutOfTime: if it does not fit.
    """
    if not time_for(seconds):
        raise OutOfTime(f"no time left for {what}: run the same command again to go on from here")
