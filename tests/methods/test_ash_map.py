"""ASH on the map, and what SCALE shares with it."""

import numpy as np
import pytest
import torch
from pytorch_ood.detector import ASH, SCALE
from scipy.special import logsumexp

from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.methods.ash_map import AshMap
from ood_bench.methods.scale_map import ScaleMap

FLAVOURS = [("ash_map", {"kind": "p"}), ("ash_map", {"kind": "b"}), ("ash_map", {"kind": "s"}), ("scale_map", {})]


def slow(one, method, percentile, kind="s"):
    """Pooled features of a map ``[C, P]``."""
    values = one.ravel()
    largest = np.argsort(-values, kind="stable")[: len(values) - round(len(values) * percentile / 100)]
    kept = np.zeros_like(values)
    kept[largest] = values.sum() / len(largest) if kind == "b" else values[largest]
    factor = np.exp(values.sum() / values[largest].sum()) if kind == "s" else 1
    return factor * (values if method == "scale_map" else kept).reshape(one.shape).mean(axis=1)


@pytest.mark.parametrize("percentile", [0.0, 50.0, 80.0])
@pytest.mark.parametrize(("method", "changes"), FLAVOURS)
def test_scores_of_a_network_against_the_formula_and_pytorch_ood(method, changes, percentile, toys):
    found, using = toys.fitted(method, percentile=percentile, **changes)
    images = toys.image_set("near", 20)
    ours = found.raw_scores(using, View(images), [{}])[0, :, 0]
    network = toys.double(using.classifier)
    with torch.no_grad():
        given = toys.tap_value(network, "block2.1", toys.inputs(images)).contiguous()
        kinds = {"ash_map": ASH, "scale_map": SCALE}
        options = {"variant": f"ash-{changes['kind']}"} if changes else {}
        theirs = kinds[method](
            None, lambda maps: network.linear(maps.mean((2, 3))), percentile=percentile / 100, **options
        )
        pooled = [slow(one, method, percentile, **changes) for one in given.flatten(2).numpy()]
        other = theirs.predict_feature_maps(given.clone())
    expected = logsumexp(np.array(pooled) @ found.weight.T + found.bias, axis=1)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)
    if changes != {"kind": "b"} or percentile == 80.0:  # else zeros are among the k largest, any of them in torch
        np.testing.assert_allclose(ours, -other, rtol=1e-5)


def test_percentile_0_of_p_is_the_energy(toys):
    view = View(toys.image_set("near", 20))
    found, using = toys.fitted("ash_map", kind="p", percentile=0.0)
    np.testing.assert_allclose(
        found.raw_scores(using, view, [{}])[0], toys.raw_scores("energy", view, using=using)[0], rtol=1e-5
    )


@pytest.mark.parametrize("method", ["ash_map", "scale_map"])
def test_each_setting_of_the_grid_shapes_in_its_own_way(method, toys):
    found, using = toys.fitted(method)
    view, grid = View(toys.image_set("near", 12)), found.candidates()
    assert [one["percentile"] for one in grid] == [65.0, 70.0, 75.0, 80.0, 85.0, 90.0, 95.0]
    alone = [toys.raw_scores(method, view, using=using, **one)[0] for one in grid]
    np.testing.assert_array_equal(found.raw_scores(using, view, grid), alone)
    assert len(np.unique(np.round([one[0] for one in alone], 6))) == len(grid)


def ready(made, lowest=0.0, ratio=2.0):
    """A fitted method of one feature, and the row of a map with this ratio of sums."""
    made.weight, made.bias = np.ones((2, 1)), np.zeros(2)
    made.refuse_size(1000)
    return made, np.array([[0.5, ratio, lowest]])


@pytest.mark.parametrize("made", [AshMap(kind="b"), AshMap(kind="s"), ScaleMap()])
def test_values_below_0_are_refused(made):
    found, rows = ready(made, lowest=-1.0)
    with pytest.raises(ConfigError, match=rf"method {made.name}: values of the map reach down to -1"):
        found.score(rows)


def test_p_takes_values_below_0():
    found, rows = ready(AshMap(kind="p"), lowest=-1.0)
    np.testing.assert_allclose(found.score(rows), [0.5 + np.log(2)], rtol=1e-12)


@pytest.mark.parametrize("made", [AshMap, ScaleMap])
def test_percentiles_that_leave_too_little_are_refused(made):
    with pytest.raises(
        ConfigError, match=r"leaves 1 of 1000 .* up to e\^1000.*: set method\..*percentile to at most 99"
    ):
        made(percentile=99.9).refuse_size(1000)
    with pytest.raises(ConfigError, match=r"leaves none of 100 features: set method\..*percentile to at most 99$"):
        made(percentile=99.9).refuse_size(100)
