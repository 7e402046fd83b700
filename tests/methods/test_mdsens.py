import numpy as np
import pytest
import torch

from ood_bench.data.views import View
from ood_bench.models.classifier import Classifier


def with_std(given, std):
    return Classifier(given.network, given.mean, std, {**given.card, "weights_sha256": f"std {std}"})


def test_scores_against_the_formula(toys):
    """In float64 from the fitted Gaussians: the step's sign, its length whatever the std is, the tap."""
    found, using = toys.fitted("mdsens", magnitudes=[0.02])
    images = toys.image_set("near", 20)
    ours = found.raw_scores(using, View(images), found.grid())[0, :, 0]
    network, gaussians = toys.double(using.classifier), found.fitted["conv1"]
    assert list(found.fitted) == ["conv1"]

    def confidence(x):
        away = toys.tap_value(network, "conv1", x).mean(dim=(2, 3))[:, None] - gaussians.means
        return (-0.5 * (away @ gaussians.precision * away).sum(dim=2)).amax(dim=1)

    x = toys.inputs(images).requires_grad_()
    (gradient,) = torch.autograd.grad(-confidence(x).sum(), x)
    stepped = x.detach() - 0.02 * torch.where(gradient >= 0, 1.0, -1.0) / 0.5
    np.testing.assert_allclose(ours, confidence(stepped), rtol=1e-3)
    assert not np.allclose(ours, confidence(x.detach()), rtol=1e-2)


@pytest.mark.parametrize(("std", "same"), [((0.5, 0.5, 0.5), True), ((0.2, 0.35, 0.6), False)])
def test_it_is_mahalanobis_where_the_std_is_one_half(std, same, toys):
    using, view = toys.scorer_with(with_std(toys.classifier(), std)), View(toys.image_set("near", 20))
    ours = toys.raw_scores("mdsens", view, using=using, magnitudes=[0.02])
    other = toys.raw_scores("mahalanobis", view, using=using, magnitudes=[0.02], taps=["conv1"])
    assert np.allclose(ours, other, rtol=1e-6) == same
