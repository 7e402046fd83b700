"""When a published number is reproduced, as arithmetic whose error rates ``benchmarks/verdicts.py`` simulates."""

import functools
import math
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import stdtrit

from ood_bench.data.imageset import Array

_MOST = 1000
_EQUAL = 1e-9
Said = Literal["reproduced", "not reproduced", "undecided"]


class Published(NamedTuple):
    """A published number.

    Attributes:
        value: the number.
        rounding: half a unit of its last digit, in points.
        runs: how many runs it is the mean of.
    """

    value: float
    rounding: float
    runs: int = 1


class Ours(NamedTuple):
    """Our runs.

    Attributes:
        mean: over distinct networks.
        std: sample standard deviation over them, none for one.
        n: number of networks.
        unit: what they are; draws of rows where the network is the authors' own.
    """

    mean: float
    std: float | None
    n: int
    unit: str = "networks"


class Decision(NamedTuple):
    """What the rule says.

    Attributes:
        said: the decision.
        reason: why, in words.
        limit: a published value further from our mean than these points is not reproduced; none where nothing tells.
    """

    said: Said
    reason: str
    limit: float | None = None


def rounding(printed: str) -> float:
    """Half a unit of the last digit that the source prints.

    >>> rounding("77.3"), rounding("100")
    (0.05, 0.5)
    """
    return 0.5 * 10.0 ** -len(printed.partition(".")[2])


def half_width(std: float, n: int, published: Published) -> float:
    """How far the published mean may be from ours by chance in 95 of 100 cases, had both the same distribution."""
    t = float(stdtrit(n - 1, 0.975))
    return t * std * math.sqrt(1 / published.runs + 1 / n) + published.rounding


def decide(ours: Ours, published: Published, margin: float) -> Decision:
    """The rule for networks of our own training, and for draws of rows.

    Args:
        ours: our runs.
        published: the published number.
        margin: points that do not matter.
    """
    distance = abs(ours.mean - published.value)
    if ours.std is None or ours.n < 2:
        return Decision("undecided", "one seed: how much networks differ is unknown")
    half = half_width(ours.std, ours.n, published)
    own = float(stdtrit(ours.n - 1, 0.95)) * ours.std / math.sqrt(ours.n) + published.rounding
    words = f"{distance:.2f} apart; by chance up to {half:.2f} with {ours.n} {ours.unit}; margin {margin:g}"
    limit = max(half, margin)
    if distance + own <= margin + _EQUAL or (distance <= half + _EQUAL and half <= margin + _EQUAL):
        return Decision("reproduced", words, limit)
    if distance > limit + _EQUAL:
        return Decision("not reproduced", words, limit)
    return Decision("undecided", f"{words}; {_missing(ours, published, margin)}", limit)


def decide_same_weights(distance: float, published: Published, n_id: int, n_ood: int) -> Decision:
    """The rule for the authors' own weights on the official images, where the protocol draws nothing.

    Args:
        distance: absolute difference in points.
        published: the published number.
        n_id: number of ID rows.
        n_ood: number of OOD rows.
    """
    allowed = published.rounding + max(0.05, 100 / min(n_id, n_ood))
    words = f"{distance:.2f} apart with the authors' weights; rounding and one image make up to {allowed:.2f}"
    return Decision("reproduced" if distance <= allowed + _EQUAL else "not reproduced", words, allowed)


def networks_needed(std: float, published: Published, margin: float) -> int | None:
    """The least number of networks with which chance is within the margin at this spread; none if none is enough."""
    n, t = _quantiles()
    enough = t * std * np.sqrt(1 / published.runs + 1 / n) + published.rounding <= margin
    return int(n[enough.argmax()]) if enough.any() else None


@functools.cache
def _quantiles() -> tuple[Array, Array]:
    """Numbers of networks, and Student's t at 97.5 % for each."""
    n = np.arange(2, _MOST + 1, dtype=np.float64)
    return n, np.asarray(stdtrit(n - 1, 0.975), dtype=np.float64)


def _missing(ours: Ours, published: Published, margin: float) -> str:
    """What would decide: so many networks, or nothing that can be run here."""
    std = ours.std or 0.0
    if half_width(std, ours.n, published) <= margin + _EQUAL:
        return "more than chance, yet perhaps within the margin"
    if (n := networks_needed(std, published, margin)) is not None:
        return f"{n} {ours.unit} would decide at this spread"
    least = 1.96 * std / math.sqrt(published.runs) + published.rounding
    if least <= margin:
        return f"more than {_MOST:,} {ours.unit} would decide at this spread"
    runs = "one printed run" if published.runs == 1 else f"a printed mean of {published.runs} runs"
    return f"no number of {ours.unit} decides: {runs} with this spread tells no finer than {least:.2f}"
