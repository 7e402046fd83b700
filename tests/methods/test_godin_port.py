"""The port's score, whose formulas are in test_godin.py, with the port's constants."""

import numpy as np

from ood_bench.data.views import View
from ood_bench.methods.godin import Godin


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
