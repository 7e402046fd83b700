import copy

import numpy as np
import pytest
import torch
from torch.distributions.multivariate_normal import MultivariateNormal

from ood_bench.errors import ConfigError
from ood_bench.models.classifier import build_network
from ood_bench.models.vos import vos_head
from ood_bench.training.artifact import ClassifierStore
from ood_bench.training.objectives import Batch
from ood_bench.training.trainer import Trainer
from ood_bench.training.vos import FeatureQueue, Vos
from ood_bench.utils.time_limit import OutOfTime

CPU = torch.device("cpu")
OPTIONS = {"weight": 0.7, "start_epoch": 0, "queue": 4, "candidates": 30, "select": 2}
LOSS = {"loss": {"name": "vos", "options": OPTIONS}}
LABELS = torch.tensor([0, 2, 1, 1, 0, 2, 1])


@pytest.fixture
def still_spec(make_spec):
    """Makes a LeNet with VOS's head, without dropout."""

    def make(**recipe):
        model = {**make_spec().model, "channel_dropout": 0.0, "dropout": 0.0, "head": "vos"}
        return make_spec({"model": model}, **{"augment": [], **LOSS, **recipe})

    return make


def fresh(spec):
    torch.manual_seed(spec.seed)
    return build_network(spec.model, spec.data.shape, spec.classes).double()


class SlowQueue:
    """Lists of features, moved on by one image at a time, as the authors' code does."""

    def __init__(self, classes, length):
        self.lists, self.length = [[] for _ in range(classes)], length

    def full(self):
        return sum(map(len, self.lists)) == len(self.lists) * self.length

    def add(self, features, labels):
        full = self.full()
        for feature, label in zip(features, labels.tolist(), strict=True):
            if full:
                self.lists[label] = [*self.lists[label][1:], feature]
            elif len(self.lists[label]) < self.length:
                self.lists[label].append(feature)


def slow_outliers(queue, candidates, select):
    """Draws and likelihoods by torch's distribution, class by class."""
    rows = torch.stack([torch.stack(one) for one in queue.lists])
    centred = torch.cat([one - one.mean(0) for one in rows])
    covariance = centred.T @ centred / len(centred) + 1e-4 * torch.eye(rows.shape[2], dtype=rows.dtype)
    found = []
    for one in rows:
        gaussian = MultivariateNormal(one.mean(0), covariance_matrix=covariance)
        draws = gaussian.rsample((candidates,))
        found.append(draws[torch.topk(-gaussian.log_prob(draws), select).indices])
    return torch.cat(found)


def slow_uncertainty(head, logits, outliers):
    """Mean of ``-log p(what it is)`` over images and outliers, one by one."""
    losses = []
    for inside, rows in ((1, logits), (0, head.classes(outliers))):
        for z in rows:
            energy = sum(max(w, 0) * torch.exp(value) for w, value in zip(head.energy_weight, z, strict=True)).log()
            losses.append(-head.logistic(energy[None]).log_softmax(dim=0)[inside])
    return torch.stack(losses).mean()


def rows_of(queue):
    return [sorted(map(tuple, one.tolist())) for one in queue]


@pytest.mark.parametrize("length", [2, 5])
def test_the_queue_is_the_authors_one(length):
    queue, slow = FeatureQueue(torch.zeros(1), 3, length, 2), SlowQueue(3, length)
    random = torch.Generator().manual_seed(0)
    for _ in range(12):
        features, labels = torch.randn(9, 2, generator=random), torch.randint(3, (9,), generator=random)
        assert queue.full() == slow.full()
        queue.add(features, labels)
        slow.add(features, labels)
        if slow.full():
            assert rows_of(queue.rows) == rows_of([torch.stack(one) for one in slow.lists])
    assert slow.full()


def test_a_full_class_waits_for_the_others():
    queue = FeatureQueue(torch.zeros(1), 2, 2, 1)
    queue.add(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([0, 0, 0]))
    assert not queue.full()
    assert queue.rows[0].flatten().tolist() == [1, 2]
    queue.add(torch.tensor([[4.0], [5.0], [6.0]]), torch.tensor([1, 1, 0]))
    assert queue.full()
    assert rows_of(queue.rows) == [[(1,), (2,)], [(4,), (5,)]]
    queue.add(torch.tensor([[7.0]]), torch.tensor([0]))
    assert rows_of(queue.rows) == [[(2,), (7,)], [(4,), (5,)]]


def test_loss_and_gradient_are_those_of_the_formula_over_several_steps(still_spec):
    network = fresh(still_spec())
    same, slow = copy.deepcopy(network), SlowQueue(3, 4)
    objective = Vos(**OPTIONS)
    objective.prepare(network)
    random, begun = torch.Generator().manual_seed(3), []
    for step in range(4):
        x = torch.randn(7, 1, 8, 8, dtype=torch.float64, generator=random)
        torch.manual_seed(step)
        loss, logits = objective(network, Batch(x, LABELS))
        torch.manual_seed(step)
        both, head = same(x), vos_head(same)
        expected = -both[:, :3].log_softmax(dim=1)[range(7), LABELS].mean()
        begun.append(slow.full())
        slow.add(both[:, 3:].detach(), LABELS)
        if begun[-1]:
            expected = expected + 0.7 * slow_uncertainty(head, both[:, :3], slow_outliers(slow, 30, 2))
        assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
        torch.testing.assert_close(logits, both[:, :3])
        gradients = [
            torch.autograd.grad(one, list(of.parameters()), allow_unused=True)
            for one, of in ((loss, network), (expected, same))
        ]
        for found, gradient in zip(*gradients, strict=True):
            torch.testing.assert_close(found, gradient, rtol=1e-6, atol=1e-10)
    assert begun == [False, False, True, True]


def test_outliers_lie_where_their_class_is_least_likely():
    """They keep to their class's Gaussian: farther from its mean than a random draw, by its covariance."""
    torch.manual_seed(0)
    root = torch.tensor([[2.0, 0.0], [1.5, 0.5]], dtype=torch.float64)
    means = torch.tensor([[0.0, 0.0], [40.0, -9.0]], dtype=torch.float64)
    rows = torch.randn(2, 4000, 2, dtype=torch.float64) @ root.T + means[:, None]
    found = Vos(candidates=1000, select=50).outliers(rows).reshape(2, 50, 2)
    lengths = torch.linalg.solve(root, (found - means[:, None]).mT).norm(dim=1)
    # The longest 5 % of a standard normal in two dimensions: sqrt(-2 log 0.05).
    assert lengths.min().item() == pytest.approx(2.45, abs=0.2)
    assert (found - means[:, None]).mean(dim=1).abs().max() < 1.2  # on all sides


def test_the_loss_waits_for_its_epoch(still_spec):
    network = fresh(still_spec())
    objective = Vos(**{**OPTIONS, "start_epoch": 2, "queue": 2})
    objective.prepare(network)
    x = torch.randn(7, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    losses = [objective(network, Batch(x, LABELS, epoch))[0].item() for epoch in (0, 1, 2)]
    assert losses[0] == losses[1]
    assert losses[2] > losses[1]


def test_the_kept_network_has_the_weights_of_the_energy_and_no_queue(still_spec, tmp_path):
    spec = still_spec(epochs=3)
    found = ClassifierStore(tmp_path / "classifiers", CPU).obtain(spec)
    assert set(found.network.state_dict()) == set(fresh(spec).state_dict())
    assert found.network(torch.zeros(2, 1, 8, 8)).shape == (2, 3)
    assert found.head().weight.shape == (3, 128)
    before, after = (vos_head(network).energy_weight for network in (fresh(spec), found.network))
    assert (before.float() - after).abs().min() > 1e-4


def test_a_resumed_training_has_the_same_bits(still_spec, tmp_path, monkeypatch):
    spec = still_spec(epochs=4)
    whole = Trainer(spec, CPU).run(tmp_path / "whole.ckpt").network.state_dict()
    trainer = Trainer(spec, CPU)
    epoch = Trainer._epoch
    monkeypatch.setattr(
        Trainer, "_epoch", lambda self, ticker: epoch(self, ticker) if self.state.epoch < 2 else _stop()
    )
    with pytest.raises(OutOfTime):
        trainer.run(tmp_path / "cut.ckpt")
    monkeypatch.undo()
    resumed = Trainer(spec, CPU).run(tmp_path / "cut.ckpt").network.state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def _stop():
    raise OutOfTime("the test's limit")


def test_two_trainings_of_one_recipe_do_not_share_a_queue(still_spec):
    first, second = (Trainer(still_spec(), CPU) for _ in range(2))
    assert vos_head(first.state.network).queue is not vos_head(second.state.network).queue
    assert first._objective._head is vos_head(first.state.network)


@pytest.mark.parametrize(
    "options", [{"start_epoch": 2}, {"queue": 16}], ids=["it begins too late", "the queues do not fill"]
)
def test_a_training_that_never_sees_an_outlier_is_refused(still_spec, options):
    """Two epochs of 8 images a class."""
    with pytest.raises(ConfigError, match=r"loss vos would end as plain cross entropy: .* 2 epochs of 8 images"):
        still_spec(loss={"name": "vos", "options": {**OPTIONS, **options}})


@pytest.mark.parametrize(
    ("head", "loss", "message"),
    [
        ("linear", LOSS["loss"], "loss vos needs model.head=vos, and the head is linear"),
        (
            "vos",
            {"name": "cross_entropy"},
            "loss cross_entropy cannot train the weights of the energy, and the head is",
        ),
    ],
)
def test_head_and_loss_belong_together(make_spec, head, loss, message):
    with pytest.raises(ConfigError, match=message):
        make_spec({"model": {**make_spec().model, "head": head}}, loss=loss)


def test_draws_of_one_class_are_those_of_its_seed():
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 9, 3)))
    found = []
    for _ in range(2):
        torch.manual_seed(5)
        found.append(Vos(candidates=20).outliers(rows))
    torch.testing.assert_close(*found, rtol=0, atol=0)
