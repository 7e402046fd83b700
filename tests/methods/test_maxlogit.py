import numpy as np
import torch
from pytorch_ood.detector import MaxLogit as Theirs

from ood_bench.methods.energy import Energy
from ood_bench.methods.maxlogit import MaxLogit

LOGITS = np.random.default_rng(0).normal(0, 5, (50, 7))


def test_it_is_the_largest_logit_as_in_pytorch_ood():
    expected = [max(row) for row in LOGITS.tolist()]
    np.testing.assert_array_equal(MaxLogit().score(LOGITS), expected)
    np.testing.assert_array_equal(MaxLogit().score(LOGITS), -Theirs.score(torch.from_numpy(LOGITS)))


def test_the_energy_score_goes_to_it_as_the_temperature_goes_to_0():
    np.testing.assert_allclose(Energy(temperature=1e-4).score(LOGITS), MaxLogit().score(LOGITS), rtol=1e-6)


def test_a_constant_moves_the_score():
    np.testing.assert_allclose(MaxLogit().score(LOGITS + 3), MaxLogit().score(LOGITS) + 3, rtol=1e-12)
