import numpy as np
import pytest

from ood_bench.data.views import View
from ood_bench.scoring.weight_gradients import weight_gradient_norms


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_it_is_the_l1_norm_and_more_than_that_of_the_last_layer(temperature, toys):
    view = View(toys.image_set("near", 6))
    ours = toys.scores("gradnorm_all", view, temperature=temperature)
    np.testing.assert_array_equal(ours, weight_gradient_norms(toys.classifier(), view, temperature)[0])
    assert (ours > toys.scores("gradnorm", view, temperature=temperature)).all()


def test_that_the_paper_takes_one_layer_is_stated(toys):
    assert toys.detector("gradnorm_all").deviations()[0].endswith("the paper's method takes the last layer's.")
