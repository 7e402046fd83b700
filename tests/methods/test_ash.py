import numpy as np
import pytest
import torch
from pytorch_ood.detector import ASH
from scipy.special import logsumexp

from ood_bench.errors import ConfigError
from ood_bench.methods.ash import Ash

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(3, 20)), RANDOM.normal(size=3)
ROWS = RANDOM.exponential(size=(40, 20))


def made(kind, percentile=65.0):
    found = Ash(kind=kind, percentile=percentile)
    found.weight, found.bias = WEIGHT, BIAS
    return found


def slow(row, kind, percentile):
    k = len(row) - round(len(row) * percentile / 100)
    places = sorted(range(len(row)), key=lambda place: -row[place])[:k]
    whole, largest = sum(row), sum(row[place] for place in places)
    shaped = np.zeros(len(row))
    for place in places:
        shaped[place] = {"p": row[place], "b": whole / k, "s": row[place] * np.exp(whole / largest)}[kind]
    return shaped


@pytest.mark.parametrize("percentile", [0.0, 65.0, 90.0, 95.0])
@pytest.mark.parametrize("kind", ["p", "b", "s"])
def test_score_against_the_formula_and_pytorch_ood(kind, percentile):
    ours = made(kind, percentile).score(ROWS)
    expected = [logsumexp(WEIGHT @ slow(row, kind, percentile) + BIAS) for row in ROWS]
    np.testing.assert_allclose(ours, expected, rtol=1e-10)
    weight, bias = torch.from_numpy(WEIGHT), torch.from_numpy(BIAS)
    theirs = ASH(None, lambda maps: maps.flatten(1) @ weight.T + bias, f"ash-{kind}", percentile / 100)
    np.testing.assert_allclose(ours, -theirs.predict_feature_maps(torch.from_numpy(ROWS)[:, :, None, None]), rtol=1e-6)


def test_pytorch_ood_on_the_map_is_another_method():
    maps = torch.from_numpy(RANDOM.exponential(size=(40, 20, 2, 2)))
    theirs = ASH(None, lambda maps: maps.mean(dim=(2, 3)) @ torch.from_numpy(WEIGHT).T + torch.from_numpy(BIAS))
    ours = made("s").score(maps.mean(dim=(2, 3)).numpy())
    assert not np.allclose(-theirs.predict_feature_maps(maps), ours, rtol=0.01)


def test_percentile_0():
    """P changes nothing, B keeps the sum, and S multiplies by e."""
    np.testing.assert_allclose(made("p", 0.0).shape(ROWS), ROWS @ WEIGHT.T + BIAS, rtol=1e-12)
    mean = np.repeat(ROWS.mean(axis=1, keepdims=True), 20, axis=1)
    np.testing.assert_allclose(made("b", 0.0).shape(ROWS), mean @ WEIGHT.T + BIAS, rtol=1e-12)
    np.testing.assert_allclose(made("s", 0.0).shape(ROWS), np.e * ROWS @ WEIGHT.T + BIAS, rtol=1e-12)


@pytest.mark.parametrize("kind", ["p", "b", "s"])
def test_of_equal_features_the_first_are_kept_and_never_more_than_k(kind):
    row = np.zeros(20)
    row[[5, 9, 11, 14]] = 2, 1, 1, 1
    for zeros in (False, True):  # k = 2 cuts through the ones, k = 7 through the zeros
        kept = [0, 1, 2, 5, 9, 11, 14] if zeros else [5, 9]
        shaped = np.zeros(20)
        shaped[kept] = 5 / len(kept) if kind == "b" else row[kept] * (np.exp(5 / row[kept].sum()) if kind == "s" else 1)
        found = made(kind, 65.0 if zeros else 90.0)
        np.testing.assert_allclose(found.shape(row[None])[0], WEIGHT @ shaped + BIAS, rtol=1e-12)


@pytest.mark.parametrize("kind", ["p", "b", "s"])
def test_an_image_without_features_gets_the_score_of_the_bias(kind):
    np.testing.assert_allclose(made(kind).score(np.zeros((1, 20))), [logsumexp(BIAS)], rtol=1e-12)


def test_features_below_0_are_refused_but_for_p():
    rows = np.vstack([ROWS, -np.ones(20)])
    for kind in ("b", "s"):
        with pytest.raises(ConfigError, match="method ash: pooled features reach down to -1"):
            made(kind).score(rows)
    np.testing.assert_allclose(made("p", 0.0).shape(rows), rows @ WEIGHT.T + BIAS, rtol=1e-12)


def test_a_percentile_that_leaves_nothing_is_refused():
    with pytest.raises(ConfigError, match=r"leaves none of 20 features: set method\.ash\.percentile to at most 95$"):
        made("p", 98.0).score(ROWS)
