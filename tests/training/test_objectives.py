import itertools
import math
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F

from ood_bench.errors import ConfigError
from ood_bench.training.loss import SHIPPED, LossConfig
from ood_bench.training.objectives import Batch, LogitNorm, MarginEntropy, Objective, OutlierExposure, entropy
from ood_bench.training.rotpred import RotPred
from ood_bench.training.t2fnorm import T2FNorm
from ood_bench.training.vos import Vos

LABELS = torch.tensor([0, 2, 1])


@dataclass
class Sharpened(Objective):
    """What a user might write: cross entropy of scaled logits."""

    scale: float = 2.0

    def __call__(self, forward, batch):
        logits = forward(batch.images)
        return F.cross_entropy(self.scale * logits, batch.labels), logits


def objective(name, options):
    return LossConfig(name, options=options).objective


@pytest.fixture
def batch():
    images = torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    return Batch(images, LABELS)


@pytest.fixture
def network():
    """Logits that depend on the whole batch, as with batch normalisation; it notes the sizes of its batches."""

    def forward(x):
        forward.sizes.append(len(x))
        rows = x.flatten(1)[:, :3]
        return 3 * (rows - rows.mean(dim=0))

    forward.sizes = []
    return forward


def loss_of(objective, logits, labels, outlier_logits):
    return objective(lambda logits: logits, Batch(torch.cat([logits, outlier_logits]), labels))[0]


def test_outlier_exposure_takes_one_pass(batch, network):
    loss, inside = objective("outlier_exposure", {"weight": 0.7})(network, batch)
    assert network.sizes == [5]
    logits = network(batch.images)
    torch.testing.assert_close(inside, logits[:3])
    torch.testing.assert_close(loss, loss_of(OutlierExposure(0.7), logits[:3], LABELS, logits[3:]))


@pytest.mark.parametrize(("passes", "sizes"), [("two", [3, 2]), ("one", [5])])
def test_margin_entropy_takes_one_pass_or_two(batch, network, passes, sizes):
    loss, inside = objective("margin_entropy", {"margin": 2.0, "beta": 0.5, "passes": passes})(network, batch)
    assert network.sizes == sizes
    whole = network(batch.images)
    first, second = (whole[:3], whole[3:]) if passes == "one" else map(network, batch.split(batch.images))
    torch.testing.assert_close(inside, first)
    torch.testing.assert_close(loss, loss_of(MarginEntropy(2.0, 0.5), first, LABELS, second))
    other = objective("margin_entropy", {"margin": 2.0, "beta": 0.5, "passes": "two" if passes == "one" else "one"})
    assert abs(other(network, batch)[0] - loss) > 1e-3


def test_the_papers_constants_are_the_defaults():
    assert objective("margin_entropy", {}) == MarginEntropy(margin=0.4, beta=0.2, passes="two")
    assert objective("logitnorm", {}) == LogitNorm(tau=0.04)
    assert objective("t2fnorm", {}) == T2FNorm(tau=0.1)
    assert objective("rotpred", {}) == RotPred(weight=1.0)
    assert objective("vos", {}) == Vos(weight=0.1, start_epoch=40, queue=1000, candidates=10_000, select=1)
    assert {name: target.streams for name, target in SHIPPED.items()} == {
        "cross_entropy": 1,
        "outlier_exposure": 2,
        "margin_entropy": 2,
        "logitnorm": 1,
        "t2fnorm": 1,
        "rotpred": 1,
        "vos": 1,
    }


def test_an_objective_of_ones_own_is_named_by_its_import_path(batch, network, monkeypatch):
    monkeypatch.setattr(torch, "Sharpened", Sharpened, raising=False)  # any importable module will do
    found = objective("torch.Sharpened", {"scale": 3.0})
    assert found == Sharpened(3.0)
    loss, logits = found(network, batch=Batch(batch.images[:3], LABELS))
    torch.testing.assert_close(loss, F.cross_entropy(3 * logits, LABELS))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mse", {}, r"train\.loss\.name: unknown mse: known are cross_entropy, .*my_package\.MyLoss"),
        ("nowhere.Loss", {}, r"train\.loss nowhere\.Loss: cannot find the class nowhere\.Loss"),
        ("torch.nn.MSELoss", {}, r"torch\.nn\.MSELoss is not a subclass of ood_bench\.training\.objectives\.Objective"),
        ("margin_entropy", {"m": 0.4}, r"train\.loss\.options of margin_entropy: m: unknown key"),
        ("margin_entropy", {"margin": "wide"}, r"options of margin_entropy: margin: "),
        ("t2fnorm", {"tau": -1.0}, r"options of t2fnorm: tau is -1"),
        ("vos", {"queue": 1}, r"options of vos: weight is 0\.1, start_epoch is 40 and queue is 1"),
        ("vos", {"select": 11, "candidates": 10}, r"options of vos: select is 11 of 10 candidates"),
        ("logitnorm", {"tau": 0}, r"options of logitnorm: tau is 0.*give a temperature above 0"),
    ],
)
def test_what_cannot_work_is_refused(name, options, message):
    with pytest.raises(ConfigError, match=message):
        objective(name, options)


def test_large_logits_do_not_overflow():
    large = torch.tensor([[1e4, -1e4, 0.0]])
    value = loss_of(OutlierExposure(1.0), large, torch.tensor([0]), large).item()
    assert value == pytest.approx(1e4)
    assert entropy(large).item() == 0


def slow_logit_norm(logits, labels, tau):
    """Mean loss, from plain floats."""
    losses = []
    for row, label in zip(logits, labels, strict=True):
        length = math.sqrt(sum(value * value for value in row)) + 1e-7
        scaled = [value / (length * tau) for value in row]
        losses.append(math.log(sum(math.exp(value) for value in scaled)) - scaled[label])
    return sum(losses) / len(losses)


def test_logit_norm_is_the_formula_and_so_is_its_gradient():
    logits = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    loss, seen = LogitNorm(0.1)(lambda images: images, Batch(logits, LABELS))
    assert seen is logits  # the accuracy and the score are those of the plain logits
    assert loss.item() == pytest.approx(slow_logit_norm(logits.tolist(), LABELS.tolist(), 0.1), rel=1e-12)
    (gradient,) = torch.autograd.grad(loss, logits)
    for row, column in itertools.product(range(3), range(4)):
        up, down = (logits.detach().clone() for _ in range(2))
        up[row, column] += 1e-6
        down[row, column] -= 1e-6
        slope = (slow_logit_norm(up.tolist(), LABELS, 0.1) - slow_logit_norm(down.tolist(), LABELS, 0.1)) / 2e-6
        assert gradient[row, column].item() == pytest.approx(slope, abs=1e-7)


def test_logit_norm_does_not_see_the_length_of_the_logits():
    """So its gradient is at right angles to them; zero logits are allowed."""
    logits = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2), requires_grad=True)
    loss, longer = (LogitNorm()(lambda images: images, Batch(rows, LABELS))[0] for rows in (logits, 50 * logits))
    assert longer.item() == pytest.approx(loss.item(), rel=1e-5)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.abs().max() > 0.1
    torch.testing.assert_close((gradient * logits).sum(dim=1), torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-5)
    zero = torch.zeros(3, 4, requires_grad=True)
    loss = LogitNorm()(lambda images: images, Batch(zero, LABELS))[0]
    assert loss.item() == pytest.approx(math.log(4))
    assert torch.autograd.grad(loss, zero)[0].isfinite().all()
