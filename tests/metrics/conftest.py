"""Score pairs that every convention is held to its slow reference on."""

import numpy as np
import numpy.typing as npt
import pytest

Pair = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def _pair(kind: str, seed: int) -> Pair:
    generator = np.random.default_rng(seed)
    n_id, n_ood = generator.integers(1, 60, size=2)
    ids, oods = generator.normal(1, 1, n_id), generator.normal(0, 1, n_ood)
    if kind == "tied":
        return ids.round(), oods.round()
    if kind == "coarse":
        return ids.round(1), oods.round(1)
    if kind == "separable":
        return ids + 100, oods
    if kind == "inverted":
        return ids - 100, oods
    if kind == "constant":
        return ids * 0, oods * 0
    return ids, oods


@pytest.fixture(params=[(kind, seed) for kind in ("distinct", "coarse", "tied") for seed in range(8)], ids=str)
def any_scores(request: pytest.FixtureRequest) -> Pair:
    return _pair(*request.param)


@pytest.fixture(params=["separable", "inverted", "constant"])
def extreme_scores(request: pytest.FixtureRequest) -> Pair:
    return _pair(request.param, 0)
