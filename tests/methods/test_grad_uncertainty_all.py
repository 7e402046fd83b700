import numpy as np

from ood_bench.data.views import View
from ood_bench.scoring.weight_gradients import weight_gradient_norms


def test_it_is_the_squared_l2_norm_from_the_gradients_of_gradnorm_all(toys):
    view, using = View(toys.image_set("near", 6)), toys.scorer_with(toys.classifier())
    toys.scores("gradnorm_all", view, using=using)
    with toys.counting(using.classifier) as counts:
        ours = toys.scores("grad_uncertainty_all", view, using=using)
    assert counts == {}
    np.testing.assert_array_equal(ours, weight_gradient_norms(using.classifier, view)[1])
    assert (ours > toys.scores("grad_uncertainty", view, using=using, with_bias=True)).all()


def test_what_differs_from_the_paper_is_stated(toys):
    assert "the paper trains a classifier" in " ".join(toys.detector("grad_uncertainty_all").deviations())
