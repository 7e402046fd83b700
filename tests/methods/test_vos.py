import copy

import numpy as np
import pytest
import torch

from ood_bench.data.views import View
from ood_bench.errors import ConfigError


@pytest.fixture(scope="module")
def using(toys):
    return toys.scorer(toys.detector("vos"))


def with_weights(toys, using, weights):
    network = copy.deepcopy(using.classifier.network)
    network.fc2.energy_weight.copy_(torch.tensor(weights))
    return toys.scorer_with(toys.classifier_of(network))


def test_the_score_is_the_formula_image_by_image(toys, using):
    images, weights = toys.image_set("near", 9), [0.5, -3.0, 2.0, 0.0]
    given = with_weights(toys, using, weights)
    z = toys.double(given.classifier)(toys.inputs(images)).detach().numpy()
    expected = [np.log(sum(max(w, 0) * np.exp(value) for w, value in zip(weights, row, strict=True))) for row in z]
    np.testing.assert_allclose(toys.scores("vos", View(images), using=given), expected, rtol=1e-5, atol=1e-5)


def test_with_equal_weights_and_in_the_code_it_is_the_energy(toys, using):
    view = View(toys.image_set("near", 9))
    energy = toys.scores("energy", view, using=using)
    np.testing.assert_array_equal(toys.scores("vos", view, using=using, definition="code"), energy)
    level = with_weights(toys, using, [1.0] * 4)
    np.testing.assert_allclose(toys.scores("vos", view, using=level), energy, rtol=1e-12)


def test_weights_below_zero_or_none_are_refused(toys, using):
    view = View(toys.image_set("near", 9))
    with pytest.raises(ConfigError, match="no weight of the energy is above 0"):
        toys.scores("vos", view, using=with_weights(toys, using, [-1.0, 0.0, -2.0, -0.5]))
    with pytest.raises(ConfigError, match="LeNet has no weights of the energy"):
        toys.scores("vos", view, using=toys.scorer_with(toys.classifier()))
