import numpy as np
import pytest
import torch
from last_layer import learner
from pytorch_ood.detector import NACUE, nac
from torch import nn

from ood_bench.errors import ConfigError
from ood_bench.methods.coverage import edges
from ood_bench.methods.nac import Nac

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(4, 8)), RANDOM.normal(size=4)
TRAIN, ROWS = RANDOM.exponential(size=(200, 8)), RANDOM.exponential(size=(40, 8)) * 2
LABELS = np.arange(200) % 4
learned = learner(Nac, TRAIN, WEIGHT, BIAS, labels=LABELS, full=5, steepness=3.0, bins=10)


def states(rows, steepness):
    """By automatic differentiation of the divergence."""
    features = torch.from_numpy(rows).requires_grad_()
    loss = -torch.log_softmax(features @ torch.from_numpy(WEIGHT).T + torch.from_numpy(BIAS), dim=1).mean(dim=1)
    (gradient,) = torch.autograd.grad(loss.sum(), features)
    return torch.sigmoid(steepness * features * gradient).detach().numpy()


@pytest.mark.parametrize(("steepness", "bins", "full"), [(3.0, 10, 5), (100.0, 50, 50), (0.1, 4, 1)])
def test_score_against_the_formula(steepness, bins, full):
    """All 200 images are counted."""
    bounds = edges(bins)
    train, rows = states(TRAIN, steepness), states(ROWS, steepness)
    expected = []
    for row in rows:
        covered = []
        for unit, state in enumerate(row):
            (place,) = [one for one in range(bins - 1) if bounds[one] <= state < bounds[one + 1]]
            alike = sum(bounds[place] <= other < bounds[place + 1] for other in train[:, unit])
            covered.append(min(alike / full, 1))
        expected.append(np.mean(covered))
    np.testing.assert_allclose(learned(steepness=steepness, bins=bins, full=full).score(ROWS), expected, rtol=1e-10)


def test_edges_are_the_authors():
    """Printed by their ``logspace(1e3, 8)``."""
    expected = [0, 0.34983744, 0.44357394, 0.5, 0.55642606, 0.65016256, 1.01, 1.2]
    np.testing.assert_allclose(edges(8), expected, rtol=1e-7)
    assert len(edges(50)) == 50
    assert (np.diff(edges(50)) > 0).all()


def theirs(train, rows, bins=10, steepness=3.0, full=5):
    """Scores by pytorch-ood."""
    network = nn.Sequential(nn.Identity(), nn.Linear(8, 4)).double()
    network[1].weight.data, network[1].bias.data = torch.from_numpy(WEIGHT), torch.from_numpy(BIAS)
    found = NACUE(network, [network[0]], m_bins=bins, alpha=steepness, o_star=full)
    found.fit([torch.from_numpy(train).requires_grad_()])
    return -found(torch.from_numpy(rows).requires_grad_()).numpy()


def test_pytorch_ood_differs_by_its_bins_only(monkeypatch):
    """Where no probability is so small that the 1e-12 that it adds matters."""
    train, rows = TRAIN / 4, ROWS / 4
    ours = learned(train).score(rows)
    assert np.abs(theirs(train, rows) - ours).max() > 0.01
    bounds = torch.from_numpy(edges(10))
    monkeypatch.setattr(nac, "_bin_indices_geometric", lambda z, m: torch.bucketize(z, bounds, right=True) - 1)
    np.testing.assert_allclose(theirs(train, rows), ours, rtol=1e-6)


@pytest.mark.parametrize("scale", [0.01, 1.0, 20.0])
@pytest.mark.parametrize(("steepness", "bins", "full"), [(3.0, 10, 5), (100.0, 50, 50), (0.1, 4, 1)])
def test_pytorch_oods_definition_gives_its_scores(scale, steepness, bins, full):
    """At the largest scale probabilities lie far below the 1e-12 that it adds, and states beyond its last edges."""
    train, rows = scale * TRAIN, scale * ROWS * (RANDOM.random((40, 8)) < 0.8)  # a state of 1/2 where a feature is 0
    train[:20] = 0
    found = learned(train, steepness=steepness, bins=bins, full=full, definition="pytorch_ood", images=4)
    np.testing.assert_allclose(found.score(rows), theirs(train, rows, bins, steepness, full), rtol=1e-6)
    assert found.variant == "as pytorch_ood"


def test_as_many_images_of_every_class_are_counted():
    """Two of each class in all: a state that all others share is covered by 8 of 16."""
    train = np.ones((200, 8))
    np.testing.assert_allclose(learned(train, images=9, full=16).score(train[:1]), [0.5])
    few = np.where(np.arange(200) < 190, 0, LABELS)  # 2 or 3 images of classes 1 to 3
    np.testing.assert_allclose(learned(train, labels=few, images=1000, full=16).score(train[:1]), [0.5])


def test_the_seed_draws_the_images():
    scores = [learned(images=20, seed=seed).score(ROWS) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.allclose(scores[0], scores[2])


def test_permuted_units_leave_the_score():
    order = RANDOM.permutation(8)
    found = Nac(full=5, steepness=3.0, bins=10)
    found.weight, found.bias = WEIGHT[:, order], BIAS
    found.learn(TRAIN[:, order], LABELS)
    np.testing.assert_allclose(found.score(ROWS[:, order]), learned().score(ROWS), rtol=1e-12)


def test_a_class_without_images_and_too_few_images_are_refused():
    with pytest.raises(ConfigError, match="method nac: no training image of class 3: use"):
        learned(labels=LABELS % 3)
    with pytest.raises(
        ConfigError, match=r"images is 3, and there are 4 classes: set method\.nac\.images to at least 4"
    ):
        learned(images=3)
