import numpy as np
import pytest
import torch
from pytorch_ood.detector import SCALE
from scipy.special import logsumexp

from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.methods.scale import Scale
from ood_bench.methods.shaping import LOGIT_SCORES

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(3, 12)), RANDOM.normal(size=3)
ROWS = RANDOM.exponential(size=(40, 12))


def made(weight=WEIGHT, **changes):
    found = Scale(**changes)
    found.weight, found.bias = weight, BIAS
    return found


def slow(row, percentile):
    largest = sorted(row, reverse=True)[: len(row) - round(len(row) * percentile / 100)]
    return row * np.exp(sum(row) / sum(largest))


@pytest.mark.parametrize("percentile", [0.0, 50.0, 85.0, 92.0])
def test_score_against_the_formula_and_pytorch_ood(percentile):
    ours = made(percentile=percentile).score(ROWS)
    np.testing.assert_allclose(ours, [logsumexp(WEIGHT @ slow(row, percentile) + BIAS) for row in ROWS], rtol=1e-10)
    weight, bias = torch.from_numpy(WEIGHT), torch.from_numpy(BIAS)
    theirs = SCALE(None, lambda maps: maps.flatten(1) @ weight.T + bias, percentile=percentile / 100)
    np.testing.assert_allclose(ours, -theirs.predict_feature_maps(torch.from_numpy(ROWS)[:, :, None, None]), rtol=1e-6)


def test_percentile_0_multiplies_by_e():
    np.testing.assert_allclose(made(percentile=0.0).shape(ROWS), np.e * ROWS @ WEIGHT.T + BIAS, rtol=1e-12)


def test_the_order_of_units_does_not_matter():
    order = RANDOM.permutation(12)
    np.testing.assert_allclose(made(WEIGHT[:, order]).score(ROWS[:, order]), made().score(ROWS), rtol=1e-12)


def test_rows_in_blocks_score_as_all_at_once(monkeypatch):
    expected = made().score(ROWS)
    monkeypatch.setattr(Scale, "values_at_once", 12 * 7)
    np.testing.assert_allclose(made().score(ROWS), expected, rtol=1e-13)


def test_an_image_without_features_gets_the_score_of_the_bias():
    np.testing.assert_allclose(made().score(np.zeros((1, 12))), [logsumexp(BIAS)], rtol=1e-12)


def test_factors_that_float64_does_not_hold_are_refused_and_large_ones_are_not():
    """1,000 equal features: e^500 is 1e217, e^1000 is infinite."""
    flat, weight = np.ones((1, 1000)), np.full((3, 1000), 0.01)
    assert 216 < np.log10(made(weight, percentile=99.8).score(flat)[0]) < 220
    with pytest.raises(
        ConfigError, match=r"leaves 1 of 1000 .* by up to e\^1000, .*: set method\.scale\.percentile to"
    ):
        made(weight, percentile=99.9).score(flat)


def test_the_refusal_comes_before_anything_is_scored(toys):
    """The toy network has 128 features."""
    with pytest.raises(
        ConfigError, match=r"leaves none of 128 features: set method\.scale\.percentile to at most 99\.2$"
    ):
        toys.fitted("scale", percentile=99.9)
    toys.fitted("scale", percentile=99.2)


def test_features_below_0_are_refused():
    with pytest.raises(ConfigError, match="method scale: pooled features reach down to -1"):
        made().score(np.vstack([ROWS, -np.ones(12)]))


@pytest.mark.parametrize("base", LOGIT_SCORES)
def test_every_score_of_the_logits_stands_on_top_of_the_shipped_method(base, toys):
    found, using = toys.fitted("scale", base=base)
    view = View(toys.image_set("near", 30))
    alone = toys.detector(base)
    if alone.learns:
        alone.learn(found.shape(using.rows(View(toys.TRAIN), found.quantity(using.classifier))), toys.TRAIN.labels)
    expected = alone.score(found.shape(using.rows(view, found.quantity(using.classifier))))
    np.testing.assert_allclose(found.raw_scores(using, view, [{}])[0, :, 0], expected, rtol=1e-12)
    plain = toys.scores(base, view)
    assert not np.allclose(expected, plain, rtol=1e-3)
    assert found.variant == ("" if base == "energy" else f"with {base}")
