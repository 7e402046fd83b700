"""Timing that survives a busy machine: steps take turns, and each is held against a bare pass right before it."""

import logging
import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

Key = TypeVar("Key", bound=Hashable)
_log = logging.getLogger(__name__)
_SPEAKS = 15.0  # seconds between lines of progress: a bar would draw in a thread, on the clock of the process


@dataclass(frozen=True)
class Step:
    """One piece of work to time.

    Attributes:
        run: does the work and returns what it found.
        images: its time is given in bare forward passes over this many images.
        slow: whether it runs in every other round only, and never to warm up.
    """

    run: Callable[[], Any]
    images: int
    slow: bool = False


@dataclass
class Timing:
    """What was measured of one step.

    Attributes:
        seconds: wall-clock time in every round.
        ratios: time in bare forward passes, in every round, by the clock that :func:`interleaved` was told.
        result: what the step returned last.
    """

    seconds: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    result: Any = None

    @property
    def ratio(self) -> float:
        """Median of the ratios."""
        return statistics.median(self.ratios)


def timed(run: Callable[[], Any]) -> tuple[Any, float, float]:
    """Result of a call, the wall-clock seconds and the processor seconds that the process spent on it."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = run()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def interleaved(steps: Mapping[Key, Step], bare: Step, rounds: int, *, by_cpu: bool) -> dict[Key, Timing]:
    """Times all steps in turns, after one round of warming up if several rounds are measured.

    Args:
        steps: by name, in the order in which they take turns.
        bare: the bare forward pass; it runs before each step anew, so that a slow spell hits both.
        rounds: measured rounds, at least 1.
        by_cpu: whether ratios are of processor time, which other programs' load hardly changes; only sensible with one
            thread. Else of wall-clock time.
    """
    found, spoke = {name: Timing() for name in steps}, time.monotonic()
    for number in range(-1 if rounds > 1 else 0, rounds):
        for name, step in steps.items():
            if step.slow and number % 2:
                continue
            if time.monotonic() - spoke > _SPEAKS:
                turn, spoke = "warming up" if number < 0 else f"round {number + 1} of {rounds}", time.monotonic()
                _log.info("%s: %s", turn, name if isinstance(name, str) else ", ".join(map(str, name)))  # type: ignore[call-overload]
            _, *unit = timed(bare.run)
            result, *spent = timed(step.run)
            if number >= 0:
                each = spent[by_cpu] / step.images / (unit[by_cpu] / bare.images)
                found[name].seconds.append(spent[0])
                found[name].ratios.append(each)
                found[name].result = result
    return found
