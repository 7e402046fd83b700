import numpy as np
import torch
from pytorch_ood.detector import EnergyBased

from ood_bench.data.views import View


def test_pytorch_ood_agrees(toys):
    images = toys.image_set("near", 20)
    with torch.no_grad():
        theirs = EnergyBased(toys.double(toys.classifier()), t=2.0).predict(toys.inputs(images))
    np.testing.assert_allclose(toys.scores("energy", View(images), temperature=2.0), -theirs, rtol=1e-5, atol=1e-6)
