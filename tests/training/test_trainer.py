import math

import pytest
import torch
import torch.nn.functional as F

from ood_bench.errors import ArtifactError, TrainingError
from ood_bench.models.lenet import LeNet
from ood_bench.training import objectives, trainer
from ood_bench.training.augment import AUGMENTATIONS
from ood_bench.training.trainer import Trainer
from ood_bench.utils.time_limit import OutOfTime

CPU = torch.device("cpu")
ADADELTA = {"name": "adadelta", "lr": 0.8, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.01}
NESTEROV = {"name": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}
EXPOSURE = {"loss": {"name": "outlier_exposure", "outlier_weight": 0.5}, "outlier_batch_size": 5}


def sgd(parameters, gradients, memory, rate):
    """SGD with Nesterov momentum 0.9 and weight decay 0.01, as Sutskever et al. write it."""
    for number, (weights, gradient) in enumerate(zip(parameters, gradients, strict=True)):
        slope = gradient + 0.01 * weights.data
        memory[number] = slope if number not in memory else 0.9 * memory[number] + slope
        weights.data -= rate * (slope + 0.9 * memory[number])


def adadelta(parameters, gradients, memory, rate):
    """Zeiler's algorithm with rho 0.9, epsilon 1e-6 and weight decay 0.01."""
    for number, (weights, gradient) in enumerate(zip(parameters, gradients, strict=True)):
        slope = gradient + 0.01 * weights.data
        squares, steps = memory.get(number, (torch.zeros_like(slope), torch.zeros_like(slope)))
        squares = 0.9 * squares + 0.1 * slope**2
        step = (steps + 1e-6).sqrt() / (squares + 1e-6).sqrt() * slope
        memory[number] = squares, 0.9 * steps + 0.1 * step**2
        weights.data -= rate * step


def slow_loss(network, spec, inside, labels, outside):
    logits = network((torch.cat([inside, outside]).float() / 255 - 0.3) / 0.25)
    head, tail = logits[: len(labels)], logits[len(labels) :]
    loss = -head.log_softmax(dim=1)[range(len(labels)), labels].mean()
    if len(outside):
        loss = loss + spec.recipe.loss.outlier_weight * -tail.log_softmax(dim=1).mean(dim=1).mean()
    return loss, int((head.argmax(dim=1) == labels).sum())


def slow_training(spec, update, rates):
    """The whole training as a plain loop over lists; returns the weights and every epoch's loss and accuracy."""
    torch.manual_seed(spec.seed)
    network = LeNet(spec.data.shape, spec.classes, spec.model["channel_dropout"], spec.model["dropout"]).train()
    generator = torch.Generator().manual_seed(spec.seed)
    images, labels = torch.tensor(spec.data.images), torch.tensor(spec.data.labels)
    outliers = None if spec.outliers is None else torch.tensor(spec.outliers.images)
    memory, history, steps = {}, [], iter(rates)
    parameters = list(network.parameters())
    for _ in range(spec.recipe.epochs):
        order = torch.randperm(len(images), generator=generator).tolist()
        losses, hits = [], 0
        while order:
            rows, order = order[: spec.recipe.batch_size], order[spec.recipe.batch_size :]
            mixed = images[rows]
            if outliers is not None:
                drawn = torch.randint(len(outliers), (spec.recipe.outlier_batch_size,), generator=generator)
                mixed = torch.cat([mixed, outliers[drawn]])
            for name in spec.recipe.augment:
                mixed = AUGMENTATIONS[name](mixed, generator)
            loss, right = slow_loss(network, spec, mixed[: len(rows)], labels[rows], mixed[len(rows) :])
            gradients = torch.autograd.grad(loss, parameters)
            update(parameters, gradients, memory, next(steps))
            losses += [loss.item()] * len(rows)
            hits += right
        history.append((sum(losses) / len(losses), 100 * hits / len(images)))
    assert next(steps, None) is None
    return network.state_dict(), history


def cosine(lr, final, steps):
    return [final + (lr - final) * (1 + math.cos(math.pi * step / steps)) / 2 for step in range(steps)]


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize(
    "case",
    [
        ({"optimizer": NESTEROV}, sgd, [0.05] * 6),
        (
            {"optimizer": ADADELTA, "schedule": {"name": "exponential", "gamma": 0.7}, "augment": ["reflect_crop4"]},
            adadelta,
            [0.8] * 3 + [0.56] * 3,
        ),
        ({"optimizer": ADADELTA, "batch_size": 10, "augment": []}, adadelta, [0.8] * 6),  # 10 + 10 + 4 images
        ({"optimizer": ADADELTA, "batch_size": 100}, adadelta, [0.8] * 2),
        ({"optimizer": NESTEROV, **EXPOSURE}, sgd, [0.05] * 6),
    ],
)
def test_equals_a_slow_loop(make_spec, images, tmp_path, case, channels_last):
    recipe, update, rates = case
    changes = {"outliers": images(7, seed=9)} if "loss" in recipe else {}
    spec = make_spec({"seed": 3, **changes}, channels_last=channels_last, **recipe)
    state = Trainer(spec, CPU).run(tmp_path / "last.ckpt")
    weights, history = slow_training(spec, update, rates)
    torch.testing.assert_close(state.network.state_dict(), weights, rtol=1e-4, atol=2e-6)
    assert [entry["loss"] for entry in state.history] == pytest.approx([loss for loss, _ in history], rel=1e-5)
    assert [entry["train_accuracy"] for entry in state.history] == pytest.approx([hits for _, hits in history])
    assert state.network.training


def trained(spec, folder, device=CPU):
    return Trainer(spec, device).run(folder / f"{spec.key}.ckpt").network.state_dict()


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_the_seed_decides_the_weights(make_spec, tmp_path):
    plain = trained(make_spec(), tmp_path / "a")
    assert same(plain, trained(make_spec(), tmp_path / "b"))
    assert not same(plain, trained(make_spec({"seed": 1}), tmp_path))


def test_bfloat16_keeps_float32_weights(make_spec, tmp_path):
    plain, half = trained(make_spec(), tmp_path), trained(make_spec(autocast="bfloat16"), tmp_path)
    assert {value.dtype for value in half.values()} == {torch.float32}
    assert not same(plain, half)
    torch.testing.assert_close(plain, half, rtol=0, atol=0.05)


def test_goes_on_after_each_epoch_to_the_same_bits(make_spec, tmp_path, monkeypatch):
    """Three epochs with a stop after each are three epochs at one go: weights, losses, everything."""
    recipe = {"epochs": 3, "optimizer": ADADELTA, "schedule": {"name": "cosine"}}
    expected = Trainer(make_spec(**recipe), CPU).run(tmp_path / "whole.ckpt")
    save = trainer.TrainingState.save

    def save_and_die(*args):
        save(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer.TrainingState, "save", save_and_die)
    for _ in range(3):
        torch.manual_seed(12345)  # a new process has other random numbers
        with pytest.raises(KeyboardInterrupt):
            Trainer(make_spec(**recipe), CPU).run(tmp_path / "parts.ckpt")
    state = Trainer(make_spec(**recipe), CPU).run(tmp_path / "parts.ckpt")
    assert same(state.network.state_dict(), expected.network.state_dict())
    assert state.history == expected.history
    assert state.epoch == 3


def poison(monkeypatch, bad_call):
    """Lets the loss be NaN at one call; returns the counter of calls."""
    calls, cross_entropy = [], F.cross_entropy

    def loss(logits, labels):
        calls.append(len(labels))
        value = cross_entropy(logits, labels)
        return value * math.nan if len(calls) == bad_call else value

    monkeypatch.setattr(objectives.F, "cross_entropy", loss)
    return calls


@pytest.mark.parametrize("bad_call", [7, 8, 9])  # first, middle and last step of the third epoch
def test_nan_stops_and_the_last_epoch_is_kept(make_spec, tmp_path, monkeypatch, bad_call):
    spec = make_spec(epochs=4)
    expected = trained(spec, tmp_path)
    path = tmp_path / "last.ckpt"
    with monkeypatch.context() as patch:
        calls = poison(patch, bad_call)
        with pytest.raises(TrainingError, match=r"epoch 3, at a learning rate of 0\.05: lower train\.optimizer\.lr"):
            Trainer(spec, CPU).run(path)
        assert len(calls) <= 9
    kept = torch.load(path, weights_only=True)
    assert kept["epoch"] == 2
    assert all(value.isfinite().all() for value in kept["network"].values())
    assert same(Trainer(spec, CPU).run(path).network.state_dict(), expected)


def test_weights_that_explode_in_the_very_last_step_are_not_kept(make_spec, tmp_path):
    """One step only: its loss is finite, the weights that it leaves are not."""
    spec = make_spec(epochs=1, batch_size=24, optimizer={"lr": 1e29, "weight_decay": 1e29, "momentum": 0})
    with pytest.raises(TrainingError, match="not finite in epoch 1"):
        Trainer(spec, CPU).run(tmp_path / "last.ckpt")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def checkpoint(make_spec, tmp_path):
    path = tmp_path / "last.ckpt"
    Trainer(make_spec(), CPU).run(path)
    return path


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_checkpoint_is_one_clear_error(make_spec, checkpoint, share):
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ArtifactError, match=r"last\.ckpt is truncated or damaged .*: delete it to start again"):
        Trainer(make_spec(), CPU).run(checkpoint)


def test_a_checkpoint_that_is_something_else(make_spec, checkpoint):
    for content in (b"<!DOCTYPE html>", b"\x80\x02c__builtin__\nprint\n(S'executed'\ntR."):
        checkpoint.write_bytes(content)
        with pytest.raises(ArtifactError, match="delete it to start again"):
            Trainer(make_spec(), CPU).run(checkpoint)


def test_a_checkpoint_of_another_classifier(make_spec, checkpoint):
    with pytest.raises(ArtifactError, match=r"its content is not what was written\): delete it to start again"):
        Trainer(make_spec({"seed": 1}), CPU).run(checkpoint)


def test_a_checkpoint_that_cannot_be_read(make_spec, tmp_path):
    (tmp_path / "last.ckpt").mkdir()
    with pytest.raises(ArtifactError, match=r"cannot read the checkpoint at .*last\.ckpt: Is a directory"):
        Trainer(make_spec(), CPU).run(tmp_path / "last.ckpt")


def test_the_learning_rate_of_every_step(make_spec, tmp_path, monkeypatch):
    """What reaches the optimizer is the schedule, also after a stop in the middle of the second epoch."""
    spec = make_spec(epochs=3, schedule={"name": "cosine", "final_lr": 1e-3})
    rates = []
    step = torch.optim.SGD.step

    def record(self):
        rates.append(self.param_groups[0]["lr"])
        if len(rates) == 5:
            raise KeyboardInterrupt
        step(self)

    monkeypatch.setattr(torch.optim.SGD, "step", record)
    with pytest.raises(KeyboardInterrupt):
        Trainer(spec, CPU).run(tmp_path / "last.ckpt")
    Trainer(spec, CPU).run(tmp_path / "last.ckpt")
    whole = cosine(0.05, 1e-3, 9)
    assert rates == pytest.approx([*whole[:5], *whole[3:]], rel=1e-9)


def test_only_whole_batches_are_compiled(make_spec, tmp_path, monkeypatch):
    """A second shape would compile everything again; what it computes stays the same."""
    asked, sizes = [], []

    def compile_(network, **options):
        asked.append(options)
        return lambda x: sizes.append(len(x)) or network(x)

    monkeypatch.setattr(torch, "compile", compile_)
    recipe = {"batch_size": 10, "compile": True, "compile_mode": "reduce_overhead"}
    compiled = trained(make_spec(**recipe), tmp_path)
    assert asked == [{"mode": "reduce-overhead", "dynamic": False}]
    assert sizes == [10] * 4  # 10 + 10 + 4 images, twice
    assert same(compiled, trained(make_spec(batch_size=10), tmp_path))


def test_compile_autocast_and_channels_last_work_together(make_spec, tmp_path):
    """Through torch's compiler up to, not into, the generation of code; that part needs no other options."""
    torch.compiler.reset()
    recipe = {"autocast": "bfloat16", "channels_last": True}
    with pytest.MonkeyPatch.context() as patch:
        whole = torch.compile
        patch.setattr(torch, "compile", lambda network, **_: whole(network, backend="aot_eager", dynamic=False))
        compiled = trained(make_spec(compile=True, **recipe), tmp_path)
    torch.testing.assert_close(compiled, trained(make_spec(**recipe), tmp_path), rtol=0, atol=0.02)


def test_out_of_time_keeps_the_epoch_and_goes_on_to_the_same_bits(make_spec, tmp_path, monkeypatch):
    recipe = {"epochs": 4, "optimizer": NESTEROV}
    expected = trained(make_spec(**recipe), tmp_path)
    path = tmp_path / "parts.ckpt"
    for done in (1, 2, 3):
        made = Trainer(make_spec(**recipe), CPU)
        monkeypatch.setattr(
            trainer, "reserve", lambda _, what, made=made, done=done: stop(made.state.epoch == done, what)
        )
        with pytest.raises(OutOfTime, match=rf"no time for epoch {done + 1} of lenet-toy-toy-seed0-"):
            made.run(path)
        assert torch.load(path, weights_only=True)["epoch"] == done
    monkeypatch.setattr(trainer, "reserve", lambda *_: None)
    state = Trainer(make_spec(**recipe), CPU).run(path)
    assert same(state.network.state_dict(), expected)
    assert len(state.times) == 4
    assert state.seconds == pytest.approx(sum(state.times))


def stop(late, what):
    if late:
        raise OutOfTime(f"no time for {what}")


def test_a_gpu_saves_seldom_but_never_loses_the_last_epoch_in_time(make_spec, monkeypatch):
    made = Trainer(make_spec(epochs=5), CPU)
    made.state.epoch, made.state.times = 2, [1.0, 1.0]
    assert made._must_save(0)
    made.device = torch.device("cuda")
    assert not made._must_save(1)
    assert made._must_save(60)
    monkeypatch.setattr(trainer, "time_for", lambda seconds: seconds < 1)
    assert made._must_save(1)
    monkeypatch.undo()
    made.state.epoch = 5
    assert made._must_save(1)
