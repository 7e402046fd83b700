import numpy as np
import pytest
import torch

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.models.classifier import build_network
from ood_bench.training.artifact import ClassifierStore
from ood_bench.training.objectives import Batch
from ood_bench.training.rotpred import RotPred
from ood_bench.training.trainer import Trainer

CPU = torch.device("cpu")
LOSS = {"loss": {"name": "rotpred", "options": {"weight": 0.7}}}


@pytest.fixture
def still_spec(make_spec):
    """A LeNet with a head for rotations and without dropout."""
    model = {**make_spec().model, "channel_dropout": 0.0, "dropout": 0.0, "head": "rotation"}
    return make_spec({"model": model}, epochs=1, batch_size=24, augment=[], **LOSS)


def fresh(spec):
    torch.manual_seed(spec.seed)
    return build_network(spec.model, spec.data.shape, spec.classes)


def slow_loss(network, x, labels, weight):
    """Image by image and turn by turn, by the plain definition of a turn: the top row comes from the last column."""
    classes, turns = [], []
    for image, label in zip(x, labels, strict=True):
        pixels = image
        for turn in range(4):
            both = network(pixels[None])[0]
            if turn == 0:
                classes.append(-both[:3].log_softmax(dim=0)[label])
            turns.append(-both[3:].log_softmax(dim=0)[turn])
            pixels = torch.stack([pixels[:, :, -1 - row] for row in range(pixels.shape[2])], dim=1)
    return torch.stack(classes).mean() + weight * torch.stack(turns).mean()


def test_loss_and_gradient_are_those_of_the_formula(still_spec):
    network = fresh(still_spec).double()
    x = torch.randn(5, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    labels = torch.tensor([0, 2, 1, 1, 0])
    loss, logits = RotPred(weight=0.7)(network, Batch(x, labels))
    expected = slow_loss(network, x, labels, 0.7)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(logits, network.eval()(x), rtol=1e-12, atol=1e-12)
    network.train()
    parameters = list(network.parameters())
    for found, gradient in zip(*(torch.autograd.grad(one, parameters) for one in (loss, expected)), strict=True):
        torch.testing.assert_close(found, gradient, rtol=1e-9, atol=1e-12)


def test_a_step_of_training_equals_a_slow_one(still_spec, tmp_path):
    state = Trainer(still_spec, CPU).run(tmp_path / "last.ckpt")
    network = fresh(still_spec)
    x = (torch.tensor(still_spec.data.images).float() / 255 - 0.3) / 0.25
    loss = slow_loss(network, x, still_spec.data.labels, 0.7)
    loss.backward()
    assert state.history[0]["loss"] == pytest.approx(loss.item(), rel=1e-5)
    expected = {name: value.data - 0.05 * value.grad for name, value in network.named_parameters()}
    torch.testing.assert_close(dict(state.network.named_parameters()), expected, rtol=1e-4, atol=2e-6)


def test_the_stored_classifier_has_logits_of_the_classes_and_a_tap_of_the_rotations(still_spec, tmp_path):
    found = ClassifierStore(tmp_path / "classifiers", CPU).obtain(still_spec)
    kept = []
    found.network.get_submodule(found.taps["rotation"]).register_forward_hook(lambda *given: kept.append(given[2]))
    assert found.network(torch.zeros(2, 1, 8, 8)).shape == (2, 3)
    assert kept[0].shape == (2, 4)
    assert found.head().weight.shape == (3, 128)


@pytest.mark.parametrize(
    ("head", "loss", "message"),
    [
        ("linear", "rotpred", "loss rotpred needs model.head=rotation, and the head is linear"),
        ("rotation", "cross_entropy", "loss cross_entropy cannot train the logits of the rotations, and the head is"),
    ],
)
def test_head_and_loss_belong_together(make_spec, head, loss, message):
    with pytest.raises(ConfigError, match=message):
        make_spec({"model": {**make_spec().model, "head": head}}, loss={"name": loss})


def test_images_that_are_not_square_are_refused(still_spec, make_spec):
    wide = ImageSet.of("wide", np.zeros((4, 1, 8, 9), dtype=np.uint8), [0, 1, 2, 0])
    with pytest.raises(ConfigError, match="8x9 images are not square"):
        make_spec({"model": still_spec.model, "data": wide, "test": wide}, **LOSS)


def test_a_negative_weight_is_refused(make_spec):
    with pytest.raises(ConfigError, match="options of rotpred: weight is -1"):
        make_spec(loss={"name": "rotpred", "options": {"weight": -1.0}})
