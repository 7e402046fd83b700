import bisect
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from ood_bench.metrics import exact, odin
from ood_bench.metrics.curve import Curve, MetricError

Array = npt.NDArray[np.float64]
GRIDS = {("msp", 10): (0.1, 1.0), ("msp", 100): (0.01, 1.0), ("odin", 10): (0.1, 0.12), ("odin", 100): (0.01, 0.0104)}


class Counter:
    """Shares of a score list above, at or below a threshold."""

    def __init__(self, scores: Array) -> None:
        self.scores = sorted(scores)

    def below(self, d: float) -> float:
        return bisect.bisect_left(self.scores, d) / len(self.scores)

    def at_or_above(self, d: float) -> float:
        return (len(self.scores) - bisect.bisect_left(self.scores, d)) / len(self.scores)

    def above(self, d: float) -> float:
        return (len(self.scores) - bisect.bisect_right(self.scores, d)) / len(self.scores)


def rectangles(points: Iterator[tuple[float, float]]) -> float:
    total, previous, height = 0.0, 1.0, 0.0
    for x, height in points:
        total += (previous - x) * height
        previous = x
    return total + previous * height


def precision_in(X: Counter, Y: Counter, ups: list[float]) -> Iterator[tuple[float, float]]:
    for d in ups:
        t, v = X.at_or_above(d), Y.at_or_above(d)
        if t + v:
            yield t, t / (t + v)


def precision_out(X: Counter, Y: Counter, downs: list[float]) -> Iterator[tuple[float, float]]:
    for d in downs:
        a, b = Y.below(d), X.below(d)
        if a + b == 0:
            return
        yield a, a / (a + b)


def reference(ids: Array, oods: Array, row: str, ups: list[float], downs: list[float]) -> dict[str, float]:
    """The formulas of the official code as loops over the grid."""
    X, Y = Counter(ids), Counter(oods)
    u = Y.above if row == "msp" else Y.at_or_above
    window = [Y.above(d) for d in ups if 0.9495 <= X.at_or_above(d) <= 0.9505]
    fractions = {
        "auroc": rectangles((u(d), X.at_or_above(d)) for d in ups),
        "aupr_in": rectangles(precision_in(X, Y, ups)),
        "aupr_out": rectangles(precision_out(X, Y, downs)),
        "fpr95": sum(window) / len(window),
        "detection_error": min([1.0] + [(X.below(d) + Y.above(d)) / 2 for d in ups]),
    }
    return {name: 100 * value for name, value in fractions.items()}


def official_points(row: str, classes: int, points: int) -> tuple[list[float], list[float]]:
    start, end = GRIDS[row, classes]
    step = (end - start) / points
    return np.arange(start, end, step).tolist(), np.arange(end, start, -step).tolist()


def on_grid(row: str, classes: int, *, decimals: int | None, seed: int) -> tuple[Array, Array]:
    """Scores within the grid; ``decimals`` rounds their place on it, so that scores tie and meet grid points."""
    generator = np.random.default_rng(seed)
    start, end = GRIDS[row, classes]
    places = generator.beta(3, 1, 40), generator.beta(1, 2, 30)
    if decimals is not None:
        places = places[0].round(decimals), places[1].round(decimals)
        places[0][:2], places[0][2:] = 0.0, np.maximum(places[0][2:], 0.2)  # 38 of 40 rows are 95 %
    return start + (end - start) * places[0], start + (end - start) * places[1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("decimals", [None, 1, 2])
@pytest.mark.parametrize(("row", "classes"), GRIDS)
def test_official_grid_agrees_with_the_loops(
    monkeypatch: pytest.MonkeyPatch, row: str, classes: int, decimals: int | None, seed: int
) -> None:
    monkeypatch.setattr(odin, "POINTS", 500)
    ids, oods = on_grid(row, classes, decimals=decimals, seed=seed)
    expected = reference(ids, oods, row, *official_points(row, classes, 500))
    assert odin.metrics(ids, oods, row=row, classes=classes) == pytest.approx(expected, abs=1e-9)


def test_full_grid_agrees_with_the_loops() -> None:
    ids, oods = on_grid("odin", 10, decimals=None, seed=0)
    ups, downs = official_points("odin", 10, 100_000)
    assert (len(ups), len(downs)) == (100_000, 100_000)
    expected = reference(ids, oods, "odin", ups, downs)
    assert odin.metrics(ids, oods, row="odin", classes=10) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("row", ["msp", "odin"])
def test_grid_from_the_data_agrees_with_the_loops(monkeypatch: pytest.MonkeyPatch, row: str) -> None:
    monkeypatch.setattr(odin, "POINTS", 500)
    ids, oods = (100 * scores - 70 for scores in on_grid("msp", 10, decimals=2, seed=0))
    low, high = min(ids.min(), oods.min()), max(ids.max(), oods.max())
    ups = np.linspace(low, high, 500, endpoint=False).tolist()
    downs = np.linspace(high, low, 500, endpoint=False).tolist()
    expected = reference(ids, oods, row, ups, downs)
    assert odin.metrics(ids, oods, row=row, grid="data") == pytest.approx(expected, abs=1e-9)


def test_saturated_scores_get_full_credit_in_the_msp_row() -> None:
    # Everything but one ID row in twenty sits at 1.0, above the last grid point: AUROC takes it for separated.
    ids, oods = np.repeat([0.5, 1.0], [1, 19]), np.ones(20)
    assert odin.metrics(ids, oods, row="msp", classes=10)["auroc"] == pytest.approx(95)
    assert 100 * exact.auroc(Curve.of(ids, oods)) == pytest.approx(47.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"row": "energy", "classes": 10}, "rows 'msp' and 'odin'"),
        ({"row": "msp"}, "no official ODIN grid for None classes"),
        ({"row": "msp", "classes": 1000}, "no official ODIN grid for 1000 classes"),
        ({"row": "odin", "classes": 10}, r"reach from 0.1\d* to 0.9\d*, but the official odin grid for 10 classes"),
        ({"row": "msp", "classes": 10, "grid": "none"}, "choose 'official' or 'data'"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, object], message: str) -> None:
    ids, oods = on_grid("msp", 10, decimals=None, seed=0)
    with pytest.raises(MetricError, match=message):
        odin.metrics(ids, oods, **options)


@pytest.mark.parametrize(
    ("ids", "oods", "options", "message"),
    [
        ([0.05, 0.5], [0.2], {"classes": 10}, "reach from 0.05"),
        ([-3.0, 5.0], [0.2], {"classes": 100}, "set grid='data'"),
        ([1.0], [1.0], {"classes": 10}, "edge of the ODIN grid"),
        ([0.3, 0.3], [0.2], {"classes": 10}, "between 94.95 and 95.05"),
        ([2.0, 2.0], [2.0], {"grid": "data"}, "no grid can be laid"),
        ([2.0, np.inf], [2.0], {"grid": "data"}, "no grid can be laid"),
        ([np.nan], [0.2], {"classes": 10}, "NaN"),
    ],
)
def test_scores_that_do_not_fit_are_refused(
    ids: list[float], oods: list[float], options: dict[str, object], message: str
) -> None:
    with pytest.raises(MetricError, match=message):
        odin.metrics(ids, oods, row="msp", **options)
