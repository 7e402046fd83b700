"""Training with a second stream and with a chosen epoch: the leave-out classifier's part of the trainer."""

import dataclasses

import numpy as np
import pytest
import torch

from ood_bench.data.imageset import ImageSet
from ood_bench.models.classifier import accuracy
from ood_bench.models.lenet import LeNet
from ood_bench.training import trainer
from ood_bench.training.artifact import ClassifierStore
from ood_bench.training.objectives import Batch, MarginEntropy
from ood_bench.training.selection import MspSelector
from ood_bench.training.trainer import Trainer

CPU = torch.device("cpu")
KNOWN = {"known": (2, 0), "classes": 2}
LEAVE_OUT = {
    "loss": {"name": "margin_entropy", "options": {"margin": 0.4, "beta": 0.5}},
    "outlier_batch_size": 3,
    "outlier_order": "shuffled",
    "augment": [],
}


def pixels(images):
    return sorted(image.tobytes() for image in np.asarray(images))


def test_left_out_classes_are_the_second_stream(make_spec, tmp_path, recorded):
    """16 known images make batches of 8; the 8 others come in batches of 3, 3, 2, in another order every time."""
    spec = make_spec(KNOWN, epochs=4, batch_size=4, **LEAVE_OUT)
    made = Trainer(spec, CPU)
    seen = recorded(made)
    made.run(tmp_path / "last.ckpt")
    labels = spec.data.labels
    assert [len(batch) - 4 for batch in seen] == [3, 3, 2, 3] * 4
    for epoch in (seen[start : start + 4] for start in range(0, 16, 4)):
        assert pixels(torch.cat([batch[:4] for batch in epoch])) == pixels(spec.data.images[labels != 1])
        assert pixels(torch.cat([batch[4:] for batch in epoch[:3]])) == pixels(spec.data.images[labels == 1])
    orders = {torch.cat([batch[4:] for batch in seen[start : start + 3]]).numpy().tobytes() for start in (0, 4, 8)}
    assert len(orders) == 3


def test_outliers_may_take_the_place_of_left_out_classes(make_spec, images, tmp_path, recorded):
    spec = make_spec({**KNOWN, "outliers": images(3, seed=8)}, epochs=1, batch_size=16, **LEAVE_OUT)
    made = Trainer(spec, CPU)
    seen = recorded(made)
    made.run(tmp_path / "last.ckpt")
    assert pixels(seen[0][16:]) == pixels(spec.outliers.images)


def test_leave_out_training_equals_a_slow_loop(make_spec, tmp_path):
    """Two passes, labels as positions in ``known``, one step on all weights."""
    spec = make_spec(KNOWN, epochs=1, batch_size=16, **{**LEAVE_OUT, "outlier_batch_size": 8})
    state = Trainer(spec, CPU).run(tmp_path / "last.ckpt")
    torch.manual_seed(spec.seed)
    network = LeNet(spec.data.shape, 2, spec.model["channel_dropout"], spec.model["dropout"]).train()
    generator = torch.Generator().manual_seed(spec.seed)
    labels = spec.data.labels
    known, others = spec.data.images[labels != 1], spec.data.images[labels == 1]
    order, drawn = torch.randperm(16, generator=generator), torch.randperm(8, generator=generator)
    inside, outside = (
        network((torch.tensor(part)[rows].float() / 255 - 0.3) / 0.25)
        for part, rows in ((known, order), (others, drawn))
    )
    targets = torch.tensor([{2: 0, 0: 1}[label] for label in labels[labels != 1]])[order]
    loss = MarginEntropy(0.4, 0.5)(lambda logits: logits, Batch(torch.cat([inside, outside]), targets))[0]
    loss.backward()
    expected = {name: value.data - 0.05 * value.grad for name, value in network.named_parameters()}
    torch.testing.assert_close(dict(state.network.named_parameters()), expected, rtol=1e-4, atol=2e-6)
    assert state.history[0]["loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert state.history[0]["train_accuracy"] == 100 * (inside.argmax(dim=1) == targets).double().mean().item()


def test_the_accuracy_of_a_leave_out_classifier_is_over_the_classes_that_it_knows(make_spec, tmp_path):
    spec = make_spec(KNOWN, **LEAVE_OUT)
    found = ClassifierStore(tmp_path / "classifiers", CPU).obtain(spec)
    assert found.card["spec"]["known"] == [2, 0]
    assert found.card["spec"]["classes"] == 2
    assert found.card["id_accuracy"] == accuracy(found, spec.measured)
    assert found.network(torch.zeros(1, 1, 8, 8)).shape == (1, 2)


# The value of each epoch, from the first; the third is the best, the fourth only as good.
VALUES = (0.7, 0.6, 0.9, 0.9, 0.8)


@pytest.fixture
def chosen_spec(make_spec, images):
    return make_spec({"validation": images(6, seed=2)}, epochs=5, selection="msp_auroc")


@pytest.fixture
def judged(monkeypatch):
    """Lets the selector find :data:`VALUES`; it goes by the number of steps taken, as a resumed training has to."""

    def judge(self, network):
        network.eval()
        return VALUES[judge.state.epoch - 1]

    make = trainer.TrainingState

    def record(*args, **kwargs):
        judge.state = make(*args, **kwargs)
        return judge.state

    monkeypatch.setattr(trainer, "TrainingState", record)
    monkeypatch.setattr(MspSelector, "__call__", judge)
    return judge


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_the_first_of_the_best_epochs_is_kept(make_spec, chosen_spec, judged, tmp_path):
    state = Trainer(chosen_spec, CPU).run(tmp_path / "chosen.ckpt")
    plain = dataclasses.replace(make_spec(epochs=3), seed=chosen_spec.seed)
    whole = Trainer(plain, CPU).run(tmp_path / "three.ckpt")
    assert same(state.network.state_dict(), whole.network.state_dict())
    assert [entry["validation_auroc"] for entry in state.history] == [100 * value for value in VALUES]
    assert state.best["epoch"] == 3
    assert state.network.training


def test_a_chosen_epoch_is_resumed_to_the_same_bits(chosen_spec, judged, tmp_path, monkeypatch):
    expected = Trainer(chosen_spec, CPU).run(tmp_path / "whole.ckpt")
    save = type(expected).save

    def save_and_die(*args):
        save(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(expected), "save", save_and_die)
        for _ in VALUES:
            torch.manual_seed(12345)  # a new process has other random numbers
            with pytest.raises(KeyboardInterrupt):
                Trainer(chosen_spec, CPU).run(tmp_path / "parts.ckpt")
    state = Trainer(chosen_spec, CPU).run(tmp_path / "parts.ckpt")
    assert same(state.network.state_dict(), expected.network.state_dict())
    assert state.history == expected.history
    assert state.best["epoch"] == expected.best["epoch"] == 3


def test_choosing_an_epoch_does_not_change_the_training(make_spec, images, tmp_path):
    """The real selector draws no random numbers: the last epoch's weights are those without a selection."""
    states = []
    for number, changes in enumerate(({}, {"validation": images(6, seed=2)})):
        spec = make_spec(changes, epochs=3, selection="msp_auroc" if changes else "last")
        states.append(Trainer(spec, CPU))
        states[-1].run(tmp_path / f"{number}.ckpt")
    saved = [torch.load(tmp_path / f"{number}.ckpt", weights_only=True) for number in (0, 1)]
    assert same(saved[0]["network"], saved[1]["network"])
    assert torch.equal(saved[0]["generator"], saved[1]["generator"])
    best = saved[1]["best"]
    values = [entry["validation_auroc"] for entry in saved[1]["history"]]
    assert best["value"] == max(values)
    assert best["epoch"] == 1 + values.index(max(values))


def test_the_card_tells_the_chosen_epoch(chosen_spec, judged, make_spec, tmp_path):
    store = ClassifierStore(tmp_path / "classifiers", CPU)
    card = store.obtain(chosen_spec).card
    assert card["epoch"] == 3
    assert len(card["history"]) == 5
    assert card["train_accuracy"] == card["history"][2]["train_accuracy"]
    assert "epoch" not in store.obtain(make_spec()).card


def test_the_trainer_holds_its_own_copy_of_the_images(make_spec, tmp_path):
    """Memory-mapped sets are read only; what the trainer holds is its own copy."""
    spec = make_spec(KNOWN, **LEAVE_OUT)
    np.save(tmp_path / "images.npy", spec.data.images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    data = ImageSet.of("toy", mapped, spec.data.labels)
    made = Trainer(dataclasses.replace(spec, data=data), CPU)
    made._images += 1
    assert pixels(mapped) == pixels(spec.data.images)
