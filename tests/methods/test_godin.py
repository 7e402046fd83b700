"""Generalized ODIN's units and ways of obtaining a network; its scores are those of tests/golden/test_godin.py."""

from dataclasses import replace

import numpy as np
import pytest

from ood_bench.data.views import View
from ood_bench.methods.godin import Godin
from ood_bench.models.heads import DECOMPOSED, PARTS

HEADS = ["godin_inner", "godin_euclidean", "godin_cosine"]


def grid_scores(using, view, **changes):
    found = Godin(**changes)
    return found.raw_scores(using, view, found.grid())[:, :, 0]


def test_units_of_the_step(toys):
    """One step in three units; where the deviation is one number, a step of the network's input is one of pixels."""
    plain, view = toys.scorer(toys.detector("godin_inner")).classifier, View(toys.image_set("near", 6))
    using = toys.scorer_with(replace(plain, std=(0.5, 0.5, 0.5)))
    expected = grid_scores(using, view, magnitudes=[0.04])
    np.testing.assert_allclose(grid_scores(using, view, magnitudes=[0.04 * 255], unit="bytes"), expected, rtol=1e-6)
    np.testing.assert_allclose(grid_scores(using, view, magnitudes=[0.08], unit="normalised"), expected, rtol=1e-6)
    assert not np.allclose(expected, grid_scores(using, view, magnitudes=[0.0]), rtol=1e-3)


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
