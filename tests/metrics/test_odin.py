import numpy as np
import numpy.typing as npt
import pytest

from ood_bench.metrics import exact, odin
from ood_bench.metrics.curve import Curve, MetricError

Array = npt.NDArray[np.float64]
GRIDS = {"msp": (0.1, 1.0), "odin": (0.1, 0.12)}


def on_grid(row: str) -> tuple[Array, Array]:
    """Scores within the grid for 10 classes."""
    generator = np.random.default_rng(0)
    start, end = GRIDS[row]
    return start + (end - start) * generator.beta(3, 1, 40), start + (end - start) * generator.beta(1, 2, 30)


@pytest.mark.parametrize("row", ["msp", "odin"])
def test_a_grid_from_the_data_carries_the_formulas_to_any_scores(row: str) -> None:
    """Scores that fill the official grid give what they give when they are moved and stretched."""
    ids, oods = on_grid(row)
    start, end = GRIDS[row]
    ids[0], ids[-1] = start, end
    moved = (512 * (scores - start) / (end - start) - 70 for scores in (ids, oods))
    expected = odin.metrics(ids, oods, row=row, classes=10)
    assert odin.metrics(*moved, row=row, grid="data") == pytest.approx(expected, abs=0.01)


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
    ids, oods = on_grid("msp")
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
