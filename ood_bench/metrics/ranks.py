"""Tests of methods over networks: each network is a block, whatever number of images it scored.

Source: Friedman's test, average ranks, Nemenyi's critical difference and cliques as in Demšar, JMLR 7 (2006); the
paired permutation test flips signs of differences (Fisher, The Design of Experiments, 1935).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import friedmanchisquare, rankdata, studentized_range

from ood_bench.metrics.curve import MetricError

LEVEL = 0.05
_EXACT = 20
_DRAWN = 1 << _EXACT
_CHUNK = 1 << 14
_PLACES = 9  # what differs less is a rounding error
_Floats = npt.NDArray[np.float64]


class Ranked(NamedTuple):
    """Methods ranked on every network.

    Attributes:
        each: ``[n, k]``, the methods' ranks on each network; 1 is the best, ties share the mean of their ranks.
        average: ``[k]``, their means over networks.
        friedman: p-value of Friedman's test (corrected for ties) that no method differs from another.
        difference: Nemenyi's critical difference at 5 %: average ranks closer than it are not told apart.
    """

    each: _Floats
    average: _Floats
    friedman: float
    difference: float


def ranked(values: npt.ArrayLike) -> Ranked:
    """Ranks of methods over networks, and the tests of them.

    Args:
        values: ``[n, k]``, a row for each of ``n`` networks, a column for each of ``k`` methods; high is good.

    Raises:
        MetricError: with fewer than two networks or three methods.
    """
    table = np.round(np.asarray(values, dtype=np.float64), _PLACES)
    n, k = table.shape
    if n < 2 or k < 3:
        raise MetricError(f"{k} methods on {n} networks: ranks need three methods on two networks at least")
    ranks = rankdata(-table, axis=1)
    alike = bool((ranks == ranks[0, 0]).all())
    friedman = 1.0 if alike else float(friedmanchisquare(*table.T).pvalue)
    return Ranked(ranks, ranks.mean(axis=0), friedman, critical_difference(k, n))


def critical_difference(methods: int, networks: int) -> float:
    """Nemenyi's critical difference of average ranks at 5 %, from the studentized range."""
    q = float(studentized_range.ppf(1 - LEVEL, methods, math.inf)) / math.sqrt(2)
    return q * math.sqrt(methods * (methods + 1) / (6 * networks))


def cliques(average: Sequence[float], difference: float) -> list[tuple[int, int]]:
    """The largest groups of methods that are not told apart, as places of the first and last one.

    Args:
        average: average ranks, ascending.
        difference: the critical difference.

    >>> cliques([1.0, 1.5, 2.4, 4.0], 1.0)
    [(0, 1), (1, 2)]
    """
    found: list[tuple[int, int]] = []
    reached = 0
    for first, start in enumerate(average):
        last = max(place for place, rank in enumerate(average) if rank - start <= difference)
        if last > max(first, reached):
            found.append((first, last))
            reached = last
    return found


def sign_flip(differences: npt.ArrayLike) -> _Floats:
    """Two-sided p-values of the paired permutation test, ``[m]``: how many flips of signs give as large a mean.

    All ``2^n`` patterns of signs are counted up to 20 networks; beyond that 2^20 are drawn, with a fixed seed, and the
    observed pattern counts as one more.

    Args:
        differences: ``[n, m]``, for each of ``n`` networks the difference of two methods, for each of ``m`` tests.
    """
    table = np.asarray(differences, dtype=np.float64)
    n = len(table)
    observed = np.abs(table.sum(axis=0)) - 10.0**-_PLACES
    random, exact = np.random.default_rng(0), n <= _EXACT
    total = 1 << (n - 1) if exact else _DRAWN  # a pattern and its opposite are equally extreme: the first sign is fixed
    hits = np.zeros(table.shape[1])
    for start in range(0, total, _CHUNK):
        size = min(_CHUNK, total - start)
        if exact:
            bits = np.arange(start, start + size)[:, None] >> np.arange(n) & 1
        else:
            bits = random.integers(0, 2, size=(size, n))
        hits += (np.abs((1 - 2 * bits) @ table) >= observed).sum(axis=0)
    return hits / total if exact else (hits + 1) / (total + 1)


def least_p(networks: int) -> float:
    """The least two-sided p-value that the paired permutation test can give: ``2^(1 - n)``.

    >>> least_p(3)
    0.25
    """
    return 2.0 ** (1 - networks)


def networks_needed(tests: int) -> int:
    """With how many networks the least p-value, times the number of tests (Holm), is below 5 %.

    >>> networks_needed(1), networks_needed(43)
    (6, 11)
    """
    n = 1
    while least_p(n) * tests >= LEVEL:
        n += 1
    return n
