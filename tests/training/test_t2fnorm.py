import copy

import pytest
import torch

from ood_bench.errors import ConfigError
from ood_bench.models.lenet import LeNet
from ood_bench.training.objectives import Batch
from ood_bench.training.t2fnorm import T2FNorm
from ood_bench.training.trainer import Trainer

CPU = torch.device("cpu")
LOSS = {"loss": {"name": "t2fnorm", "options": {"tau": 0.2}}}


def still_lenet():
    """A LeNet without dropout, in float64."""
    torch.manual_seed(0)
    return LeNet((1, 8, 8), 3, channel_dropout=0.0, dropout=0.0).double()


def features_of(network, x):
    """What the last layer gets where nothing is dropped."""
    kept = []
    hook = network.relu3.register_forward_hook(lambda *found: kept.append(found[2]))
    network(x)
    hook.remove()
    return kept[0]


@pytest.fixture
def batch():
    images = torch.randn(6, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return Batch(images, torch.tensor([0, 2, 1, 0, 1, 2]))


def slow_loss(network, batch, tau):
    f = features_of(network, batch.images)
    z = (f / f.square().sum(dim=1, keepdim=True).sqrt() / tau) @ network.fc2.weight.T + network.fc2.bias
    return -z.log_softmax(dim=1)[range(6), batch.labels].mean()


def test_loss_and_gradient_are_those_of_the_formula(batch):
    network, same = still_lenet(), still_lenet()
    objective = T2FNorm(tau=0.2)
    objective.prepare(network)
    loss, _ = objective(network, batch)
    expected = slow_loss(same, batch, 0.2)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    gradients = [torch.autograd.grad(one, list(of.parameters())) for one, of in ((loss, network), (expected, same))]
    for found, gradient in zip(*gradients, strict=True):
        torch.testing.assert_close(found, gradient, rtol=1e-9, atol=1e-12)


def test_the_kept_network_is_a_plain_one_with_w_over_tau(batch):
    """It gives ``W f / tau + b``, as the network under training does in evaluation, and knows nothing of lengths."""
    network = still_lenet()
    before = copy.deepcopy(network)
    keep = T2FNorm(tau=0.2).prepare(network)
    assert list(network.state_dict()) == list(before.state_dict())
    trained = network.eval()(batch.images)
    keep()
    kept = network.train()(batch.images)
    torch.testing.assert_close(kept, trained, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(network.fc2.weight, before.fc2.weight / 0.2)
    f = features_of(before, batch.images)
    torch.testing.assert_close(kept, f / 0.2 @ before.fc2.weight.T + before.fc2.bias)


def test_a_step_of_training_equals_a_slow_one(make_spec, tmp_path):
    model = {**make_spec().model, "channel_dropout": 0.0, "dropout": 0.0}
    spec = make_spec({"model": model}, epochs=1, batch_size=24, augment=[], **LOSS)
    state = Trainer(spec, CPU).run(tmp_path / "last.ckpt")
    torch.manual_seed(spec.seed)
    network = LeNet(spec.data.shape, 3, 0.0, 0.0)
    x = (torch.tensor(spec.data.images).float() / 255 - 0.3) / 0.25
    f = features_of(network, x)
    z = f / f.norm(dim=1, keepdim=True) / 0.2 @ network.fc2.weight.T + network.fc2.bias
    loss = torch.nn.functional.cross_entropy(z, torch.tensor(spec.data.labels))
    (gradient,) = torch.autograd.grad(loss, network.fc2.weight)
    assert state.history[0]["loss"] == pytest.approx(loss.item(), rel=1e-5)
    torch.testing.assert_close(
        state.network.fc2.weight.data, (network.fc2.weight.data - 0.05 * gradient) / 0.2, rtol=1e-4, atol=2e-6
    )


def test_a_finished_training_that_is_resumed_divides_once(make_spec, tmp_path):
    spec = make_spec(**LOSS)
    first, again = (Trainer(spec, CPU).run(tmp_path / "last.ckpt").network.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_network_with_another_head_is_refused(make_spec):
    model = {**make_spec().model, "head": "godin_inner"}
    with pytest.raises(ConfigError, match=r"loss t2fnorm needs model\.head=linear, and the head is godin_inner"):
        make_spec({"model": model}, **LOSS)
