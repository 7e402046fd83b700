"""Generalized ODIN against a slow score, step by step in plain floats, and its ways of obtaining a network."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.models.heads import DECOMPOSED, PARTS

MAGNITUDES = [0.1, 0.02, 0.0]
HEADS = ["godin_inner", "godin_euclidean", "godin_cosine"]


def parts_of(network, x):
    """One image's h and g, by running the whole network."""
    kept = []
    handle = network.fc2.parts.register_forward_hook(lambda *found: kept.append(found[2]))
    network(x[None])
    handle.remove()
    return kept[0][0, :-1], kept[0][0, -1]


def read(statistic, network, x):
    h, g = parts_of(network, x)
    return {"max_h": max(h), "g": g, "max_f": max(h) / g}[statistic]


def slow(network, x, statistic, shifts, limits=None):
    """Score of one normalised image after a step of ``shifts[channel]`` that raises max h, or g where g is scored."""
    leaf = x.clone().requires_grad_()
    read("g" if statistic == "g" else "max_h", network, leaf).backward()
    stepped = x.clone()
    for channel, shift in enumerate(shifts):
        up = torch.tensor([[1.0 if value >= 0 else -1.0 for value in row] for row in leaf.grad[channel].tolist()])
        stepped[channel] = x[channel] + shift * up
        if limits is not None:
            stepped[channel] = stepped[channel].clamp(*limits[channel])
    with torch.no_grad():
        return read(statistic, network, stepped).item()


@pytest.mark.parametrize("statistic", ["max_h", "g", "max_f"])
@pytest.mark.parametrize("head", HEADS)
def test_the_whole_grid_against_the_slow_score(head, statistic, toys):
    images = toys.image_set("near", 8)
    found = toys.detector(head, magnitudes=MAGNITUDES, statistic=statistic)
    using = toys.scorer(found)
    network = toys.double(using.classifier)
    expected = [
        [slow(network, x, statistic, [magnitude / one for one in toys.STD]) for x in toys.inputs(images)]
        for magnitude in MAGNITUDES
    ]
    ours = found.raw_scores(using, View(images), found.grid())
    # float32 network against a float64 one
    np.testing.assert_allclose(ours[:, :, 0], expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("unit", "shifts"),
    [
        ("bytes", lambda std: [8.0 / 255 / one for one in std]),
        ("normalised", lambda std: [8.0 for _ in std]),
    ],
)
def test_units_of_the_step(unit, shifts, toys):
    images = toys.image_set("near", 6)
    found = toys.detector("godin_inner", magnitudes=[8.0], unit=unit)
    using = toys.scorer(found)
    network = toys.double(using.classifier)
    expected = [slow(network, x, "max_h", shifts(toys.STD)) for x in toys.inputs(images)]
    np.testing.assert_allclose(found.raw_scores(using, View(images), found.grid())[0, :, 0], expected, rtol=2e-5)


def test_clipping_brings_pixels_back_to_their_range(toys):
    images = toys.image_set("static", 6)
    found = toys.detector("godin_inner", magnitudes=[100.0], unit="bytes", clip=True)
    using = toys.scorer(found)
    network = toys.double(using.classifier)
    limits = [((0 - mean) / std, (1 - mean) / std) for mean, std in zip(toys.MEAN, toys.STD, strict=True)]
    shifts = [100 / 255 / one for one in toys.STD]
    expected = [slow(network, x, "max_h", shifts, limits) for x in toys.inputs(images)]
    ours = found.raw_scores(using, View(images), found.grid())[0, :, 0]
    np.testing.assert_allclose(ours, expected, rtol=2e-5)
    free = [slow(network, x, "max_h", shifts) for x in toys.inputs(images)]
    assert np.abs(ours / np.array(free) - 1).max() > 1e-2


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(("statistic", "raised"), [("max_h", "max_h"), ("g", "g"), ("max_f", "max_h")])
def test_small_steps_raise_what_id_only_tuning_looks_at(head, statistic, raised, toys):
    view = View(toys.image_set("near", 20))
    found = toys.detector(head, magnitudes=[0.004, 0.0], statistic=statistic)
    using = toys.scorer(found)
    stepped, clean = found.id_scores(using, view, found.grid())
    assert (stepped > clean).all()
    plain = toys.detector(head, magnitudes=[0.004, 0.0], statistic=raised)
    np.testing.assert_array_equal(plain.raw_scores(using, view, plain.grid())[:, :, 0], [stepped, clean])


def test_without_a_step_it_reads_the_shared_pass(toys):
    found, using = toys.fitted("godin_inner")
    (quantity,) = found.quantities(using.classifier)
    assert quantity.tap == PARTS
    view = View(toys.image_set("near", 20))
    using.engine.collect(using.classifier, view.images, [quantity])
    with toys.counting(using.classifier) as counts:
        found.raw_scores(using, view, found.grid())
    assert not counts


@pytest.mark.parametrize("head", HEADS)
def test_the_method_has_a_network_of_its_own_where_the_run_has_another_head(head, toys):
    networks = toys.networks(seed=4)
    (spec,) = toys.detector(head).networks(networks)
    assert spec.model == {**networks.base.model, "head": head}
    assert replace(spec, model=networks.base.model).key == networks.base.key
    assert spec.key != networks.base.key


def test_the_runs_own_network_is_taken_where_it_has_the_head(toys):
    networks = toys.networks()
    same = replace(networks, base=replace(networks.base, model={**networks.base.model, "head": "godin_cosine"}))
    assert toys.detector("godin_cosine").networks(same) == [same.base]


def test_a_published_checkpoint_of_a_linear_network_is_not_forced_into_a_head(toys, tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"weights")
    networks = toys.networks()
    given = replace(networks, base=replace(networks.base, checkpoint=tmp_path / "weights.pth"))
    assert toys.detector("godin_inner").networks(given)[0].checkpoint is None


def test_variants_name_what_is_not_plain(toys):
    assert [toys.detector("godin_inner", statistic=one).variant for one in ("max_h", "g", "max_f")] == [
        "",
        "g",
        "max f",
    ]


def test_the_mean_in_the_euclidean_head_is_a_deviation(toys):
    assert "mean, not the sum" in toys.detector("godin_euclidean").deviations()[0]
    others = [head for head in DECOMPOSED if head != "godin_euclidean"]
    assert not any(toys.detector("godin_inner", head=head).deviations() for head in others)


@pytest.mark.parametrize("changes", [{"head": "linear"}, {"magnitudes": []}, {"magnitudes": [-0.1]}])
def test_values_that_cannot_work_are_refused(changes, toys):
    with pytest.raises(ConfigError, match=r"method godin_inner|method godin"):
        toys.detector("godin_inner", **changes)
