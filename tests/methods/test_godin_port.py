"""The port's constants, and the networks of its baseline; the scores are those of tests/golden/test_godin_port.py."""

from dataclasses import replace

import numpy as np
import pytest

from ood_bench.data.views import View
from ood_bench.methods.godin import Godin

MAGNITUDES = [60.0, 8.0, 0.0]


def test_the_shipped_method_is_max_f_after_the_ports_step(toys):
    found = toys.detector("godin_port")
    using = toys.scorer(found)
    view = View(toys.image_set("static", 20))
    same = Godin(head="godin_inner", statistic="max_f", magnitudes=[0.04], unit="bytes", clip=True)
    ours = found.raw_scores(using, view, found.grid())
    np.testing.assert_array_equal(ours, same.raw_scores(using, view, same.grid()))
    unmoved = toys.detector("godin_port", magnitudes=[0.0])
    still = unmoved.raw_scores(using, view, unmoved.grid())
    assert not np.array_equal(ours, still)
    np.testing.assert_allclose(ours, still, rtol=1e-2)  # practically no step


def test_the_score_of_the_paper_is_a_variant_here(toys):
    assert [toys.detector("godin_port", statistic=one).variant for one in ("max_f", "max_h")] == ["", "max h"]


def test_the_baseline_without_a_step_is_msp(toys):
    found = toys.detector("godin_port_baseline", magnitudes=[0.0])
    view = View(toys.image_set("near", 20))
    ours = found.raw_scores(toys.scorer(found), view, found.grid())
    np.testing.assert_allclose(ours, toys.raw_scores("msp", view), rtol=1e-6)


def test_the_other_network_chooses_the_step(toys):
    found = toys.detector("godin_port_baseline", magnitudes=MAGNITUDES)
    port = toys.detector("godin_port", magnitudes=MAGNITUDES)
    view = View(toys.image_set("near", 12))
    np.testing.assert_array_equal(
        found.id_scores(toys.scorer(found), view, found.grid()), port.id_scores(toys.scorer(port), view, port.grid())
    )


@pytest.mark.parametrize("head", ["linear", "godin_inner"])
def test_the_plain_network_scores_and_the_other_perturbs(head, toys):
    networks = toys.networks()
    own = networks.base
    networks = replace(networks, base=replace(own, model={**own.model, "head": head}))
    plain, source = toys.detector("godin_port_baseline").networks(networks)
    assert plain.key == own.key
    assert [source] == toys.detector("godin_port").networks(networks)
    assert source.model["head"] == "godin_inner"
