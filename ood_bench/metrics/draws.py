"""The rows that bootstrap resamples draw: made once for each number of rows and seed, shared by all methods.

Ranks are drawn, not images, so that every curve with as many rows has the same draws.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ood_bench.metrics.curve import Counts
from ood_bench.metrics.exact import rows_needed

CHUNK: Final = 250
"""Resamples that are held together."""
LIMIT: Final = 145_000_000
"""Bytes of draws that are kept for the next curve."""
_CHUNKS: Final = 8  # of 1,000 resamples of both sides
_LEVELS: Final = (0.95, 0.8)
_TOGETHER: Final = 25  # resamples that are turned into columns at a time
_ROWS_TOGETHER: Final = 1000  # ranks whose draws are packed at a time

Counted = npt.NDArray[np.float32]
State = Any  # what a bit generator of NumPy says its state is
ChunkKey = tuple[int, int, int, int, int]
"""Rows, seed, side (0 ID, 1 OOD, which draw from streams of their own), number of the first resample, resamples."""


def accepted_draws(rows: int, generator: np.random.Generator) -> Counts:
    """How many of ``rows`` draws fell on the first k ranks, int64 ``[rows + 1]`` for k = 0, 1... ``rows``."""
    draws = generator.integers(0, rows, size=rows, dtype=np.uint32)
    accepted = np.zeros(rows + 1, dtype=np.int64)
    np.cumsum(np.bincount(draws, minlength=rows), out=accepted[1:])
    return accepted


@dataclass(frozen=True, eq=False)
class Draws:
    """Some resamples of one side's rows.

    Attributes:
        rows: number of rows, which is the number of draws of a resample as well.
        accepted: how many draws fell on the first k ranks, whole numbers, float32 ``[rows + 1, R]``.
        reached: by level, the first k whose share of the draws is at least the level, int64 ``[R]``.
        left: by level, the last k such that the level's share of the draws fell on later ranks, int64 ``[R]``.
        states: of the generator before each resample and after the last.
    """

    rows: int
    accepted: Counted
    reached: dict[float, Counts]
    left: dict[float, Counts]
    states: list[State]

    @classmethod
    def of(cls, rows: int, state: State, resamples: int) -> "Draws":
        """Draws ``resamples`` times ``rows`` ranks with a generator in the given state."""
        states, generator = [state], generator_in(state)
        accepted = np.empty((rows + 1, resamples), dtype=np.float32)
        reached, left = ({level: np.empty(resamples, dtype=np.int64) for level in _LEVELS} for _ in range(2))
        for first in range(0, resamples, _TOGETHER):
            columns = range(first, min(first + _TOGETHER, resamples))
            counts = np.empty((len(columns), rows + 1), dtype=np.float32)
            for column, row in zip(columns, counts, strict=True):
                drawn = accepted_draws(rows, generator)
                states.append(generator.bit_generator.state)
                for level in _LEVELS:
                    needed = rows_needed(level, rows)
                    reached[level][column] = np.searchsorted(drawn, needed)
                    left[level][column] = np.searchsorted(drawn, rows - needed, side="right") - 1
                row[:] = drawn
            accepted[:, columns.start : columns.stop] = counts.T
        return cls(rows, accepted, reached, left, states)


@dataclass(frozen=True, eq=False)
class Packed:
    """The same in a quarter of the memory, to be summed up again: a third of the time that drawing takes.

    Attributes:
        draws: without ``accepted``.
        counts: draws of each rank, uint8 ``[rows, R]``: more than 20 draws of one rank do not happen.
    """

    draws: Draws
    counts: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, draws: Draws) -> "Packed":
        """Packs draws."""
        counts = np.empty((draws.rows, draws.accepted.shape[1]), dtype=np.uint8)
        for first in range(0, draws.rows, _ROWS_TOGETHER):
            counts[first : first + _ROWS_TOGETHER] = np.diff(draws.accepted[first : first + _ROWS_TOGETHER + 1], axis=0)
        return cls(replace(draws, accepted=np.empty((0, 0), dtype=np.float32)), counts)

    def unpacked(self) -> Draws:
        """The draws as they were: whole numbers below 2^24 are exact in float32."""
        accepted = np.zeros((len(self.counts) + 1, self.counts.shape[1]), dtype=np.float32)
        accepted[1:] = self.counts
        return replace(self.draws, accepted=np.cumsum(accepted, axis=0, out=accepted))


def generator_in(state: State) -> np.random.Generator:
    """A generator that goes on from a state."""
    bits = np.random.PCG64(0)
    bits.state = state
    return np.random.Generator(bits)


class DrawStore:
    """Keeps the draws that were used last, as many as fit into a number of bytes; packed where they are of many rows.

    Args:
        limit: that number.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._kept: OrderedDict[ChunkKey, Draws | Packed] = OrderedDict()
        self._lock = threading.Lock()

    def chunk(self, key: ChunkKey, state: State) -> Draws:
        """Some resamples of one side.

        Args:
            key: what they are.
            state: of the side's generator before the first of them.
        """
        rows, *_, count = key
        packs = _CHUNKS * 4 * (rows + 1) * count > self._limit
        size = rows * count if packs else 4 * (rows + 1) * count
        with self._lock:
            if (found := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
            while found is None and self._kept and self._bytes() + size > self._limit:
                self._kept.popitem(last=False)
        if found is not None:
            return found.unpacked() if isinstance(found, Packed) else found
        draws = Draws.of(rows, state, count)
        if size <= self._limit:
            kept = Packed.of(draws) if packs else draws
            with self._lock:
                self._kept[key] = kept
        return draws

    def clear(self) -> None:
        """Keeps none."""
        with self._lock:
            self._kept.clear()

    def _bytes(self) -> int:
        return sum(one.counts.nbytes if isinstance(one, Packed) else one.accepted.nbytes for one in self._kept.values())
