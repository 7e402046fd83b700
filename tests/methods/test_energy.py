import math

import numpy as np
import pytest
import torch
from pytorch_ood.detector import EnergyBased

from ood_bench.data.views import View


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_formula(temperature, toys):
    images, network = toys.image_set("near", 20), toys.double(toys.classifier())
    with torch.no_grad():
        rows = [network(x[None])[0].tolist() for x in toys.inputs(images)]
    expected = [temperature * math.log(sum(math.exp(value / temperature) for value in row)) for row in rows]
    ours = toys.scores("energy", View(images), temperature=temperature)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)  # float32 network against a float64 one


def test_pytorch_ood_agrees(toys):
    images = toys.image_set("near", 20)
    with torch.no_grad():
        theirs = EnergyBased(toys.double(toys.classifier()), t=2.0).predict(toys.inputs(images))
    np.testing.assert_allclose(toys.scores("energy", View(images), temperature=2.0), -theirs, rtol=1e-5, atol=1e-6)
