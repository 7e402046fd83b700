import errno
import json
import logging
import os
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ood_bench.errors import ArtifactError
from ood_bench.models.classifier import CARD, WEIGHTS
from ood_bench.training import artifact, objectives, trainer
from ood_bench.training.artifact import ClassifierStore
from ood_bench.utils.files import sha256_file
from ood_bench.utils.locks import BusyError, locked

CPU = torch.device("cpu")


@pytest.fixture
def store(tmp_path):
    return ClassifierStore(tmp_path / "classifiers", CPU)


def left(folder):
    """Everything below a folder but lock files, which may stay."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_trains_once_and_leaves_two_files(make_spec, store, tmp_path, monkeypatch, caplog):
    spec = make_spec()
    caplog.set_level(logging.INFO)
    first = store.obtain(spec)
    assert left(tmp_path / "classifiers") == [spec.title, f"{spec.title}/{CARD}", f"{spec.title}/{WEIGHTS}"]
    assert [line for line in caplog.messages if line.startswith(f"trained {spec.title} in ")] != []
    monkeypatch.setattr(artifact, "Trainer", lambda *_: pytest.fail("trained again"))
    second = ClassifierStore(tmp_path / "classifiers", CPU).obtain(spec)
    for name, weights in first.network.state_dict().items():
        assert torch.equal(weights, second.network.state_dict()[name])
    assert second.key == first.key
    with pytest.raises(BaseException, match="trained again"):
        store.obtain(make_spec({"seed": 1}))


def test_what_comes_back_is_what_was_trained_ready_to_score(make_spec, store, tmp_path):
    spec = make_spec()
    state = trainer.Trainer(spec, CPU).run(tmp_path / "beside.ckpt")
    found = store.obtain(spec)
    for name, weights in state.network.state_dict().items():
        assert torch.equal(weights, found.network.state_dict()[name])
    assert not found.network.training
    assert not any(weights.requires_grad for weights in found.network.parameters())
    assert (found.mean, found.std) == ((0.3,), (0.25,))


def test_the_card_says_what_it_is(make_spec, store, images):
    spec = make_spec(deviations=["a footnote"])
    found = store.obtain(spec)
    card = json.loads((store.path(spec) / CARD).read_text())
    assert card == found.card
    assert card["key"] == spec.key
    assert card["spec"] == spec.identity()
    assert (card["recipe"], card["deviations"], card["device"]) == ("toy", ["a footnote"], "cpu")
    assert card["data"] == {"name": "toy", "variant": "", "n": 24}
    assert card["weights_sha256"] == sha256_file(store.path(spec) / WEIGHTS)
    assert len(card["history"]) == 2
    assert card["train_accuracy"] == card["history"][-1]["train_accuracy"]
    assert card["trained_seconds"] > 0
    with torch.no_grad():
        predicted = found.network((torch.tensor(spec.test.images).float() / 255 - 0.3) / 0.25).argmax(dim=1)
    assert card["id_accuracy"] == pytest.approx(100 * np.mean(predicted.numpy() == spec.test.labels))


@pytest.mark.parametrize("what", ["train", "load"])
def test_torchs_random_numbers_are_left_alone(make_spec, store, what):
    if what == "load":
        store.obtain(make_spec())
    torch.manual_seed(17)
    expected = torch.rand(4)
    torch.manual_seed(17)
    store.obtain(make_spec())
    assert torch.equal(torch.rand(4), expected)


def interrupt(monkeypatch, after):
    """Presses Ctrl-C in the middle of an epoch; three steps make an epoch."""
    calls = []
    loss = objectives.F.cross_entropy

    def impatient(logits, labels):
        calls.append(1)
        if len(calls) > after:
            raise KeyboardInterrupt
        return loss(logits, labels)

    monkeypatch.setattr(objectives.F, "cross_entropy", impatient)


@pytest.fixture
def interrupted(make_spec, store, monkeypatch):
    """A specification of four epochs, stopped in its third."""
    spec = make_spec(epochs=4)
    with monkeypatch.context() as patch:
        interrupt(patch, after=7)
        with pytest.raises(KeyboardInterrupt):
            store.obtain(spec)
    return spec


def test_an_interrupted_training_goes_on(interrupted, store, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    work = f"{interrupted.title}.training"
    assert left(tmp_path / "classifiers") == [work, f"{work}/last.ckpt"]
    found = store.obtain(interrupted)
    assert f"continuing {interrupted.title} from epoch 2 of 4" in caplog.messages
    whole = ClassifierStore(tmp_path / "undisturbed", CPU).obtain(interrupted)
    assert found.card["weights_sha256"] == whole.card["weights_sha256"]
    assert found.card["history"] == whole.card["history"]
    assert left(tmp_path / "classifiers") == left(tmp_path / "undisturbed")


def test_a_truncated_checkpoint_is_one_clear_error(interrupted, store, tmp_path):
    path = tmp_path / "classifiers" / f"{interrupted.title}.training" / "last.ckpt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ArtifactError) as caught:
        store.obtain(interrupted)
    assert str(path) in str(caught.value)
    assert "delete it to start again" in str(caught.value)
    path.unlink()
    assert len(store.obtain(interrupted).card["history"]) == 4


def full(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_after_the_last_epoch_loses_nothing(make_spec, store, tmp_path, monkeypatch):
    spec = make_spec()
    write = artifact.save_classifier
    with monkeypatch.context() as patch:
        patch.setattr(artifact, "save_classifier", lambda *args: (write(*args), full()))
        with pytest.raises(ArtifactError, match="the disk is full: free some space"):
            store.obtain(spec)
    work = f"{spec.title}.training"
    assert left(tmp_path / "classifiers") == [work, f"{work}/last.ckpt"]
    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "_epoch", lambda *_: pytest.fail("an epoch was trained again"))
        store.obtain(spec)
    assert left(tmp_path / "classifiers") == [spec.title, f"{spec.title}/{CARD}", f"{spec.title}/{WEIGHTS}"]


def test_a_full_disk_at_a_checkpoint_keeps_the_one_before(make_spec, store, tmp_path, monkeypatch):
    spec = make_spec(epochs=4)
    fsync, calls = os.fsync, []
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: (calls.append(file), full() if len(calls) == 3 else fsync(file)))
        with pytest.raises(ArtifactError, match=r"cannot write at .*last\.ckpt: the disk is full"):
            store.obtain(spec)
    work = f"{spec.title}.training"
    assert left(tmp_path / "classifiers") == [work, f"{work}/last.ckpt"]
    assert torch.load(tmp_path / "classifiers" / work / "last.ckpt", weights_only=True)["epoch"] == 2


def test_fine_tuning_makes_the_base_and_starts_from_it(make_spec, store):
    base = make_spec()
    tuned = make_spec({"initial": base, "seed": 9}, start="classifier", optimizer={"lr": 1e-25, "momentum": 0})
    found = store.obtain(tuned)
    assert store.path(base).is_dir()
    expected = load_file(store.path(base) / WEIGHTS)
    torch.testing.assert_close(found.network.state_dict(), expected, rtol=0, atol=1e-20)
    assert found.card["spec"]["initial"] == base.key
    real = store.obtain(make_spec({"initial": base, "seed": 9}, start="classifier"))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(real.network.state_dict(), expected, rtol=0, atol=1e-3)


def cut_weights(folder):
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-4])


def flip_a_bit(folder):
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-7] ^= 1
    (folder / WEIGHTS).write_bytes(content)


def lose_weights(folder):
    (folder / WEIGHTS).unlink()


def lose_card(folder):
    (folder / CARD).unlink()


def cut_card(folder):
    (folder / CARD).write_text((folder / CARD).read_text()[:100])


def empty_card(folder):
    (folder / CARD).write_text("[]\n")


def card_without_model(folder):
    card = json.loads((folder / CARD).read_text())
    del card["spec"]["model"]
    (folder / CARD).write_text(json.dumps(card))


def binary_card(folder):
    (folder / CARD).write_bytes(b"\xff\xfe\x00")


def other_weights(folder):
    """Weights with the right sum that do not fit: the card is of another network."""
    card = json.loads((folder / CARD).read_text())
    card["spec"]["classes"] = 5
    (folder / CARD).write_text(json.dumps(card))


def not_weights(folder):
    (folder / WEIGHTS).write_bytes(b"<html>")
    card = json.loads((folder / CARD).read_text())
    card["weights_sha256"] = sha256_file(folder / WEIGHTS)
    (folder / CARD).write_text(json.dumps(card))


DAMAGES = [
    cut_weights,
    flip_a_bit,
    lose_weights,
    lose_card,
    cut_card,
    empty_card,
    card_without_model,
    binary_card,
    other_weights,
    not_weights,
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return tmp_path_factory.mktemp("finished")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_classifier_is_one_clear_error(make_spec, finished, tmp_path, damage):
    spec = make_spec()
    ClassifierStore(finished, CPU).obtain(spec)
    shutil.copytree(finished, tmp_path / "classifiers")
    store = ClassifierStore(tmp_path / "classifiers", CPU)
    damage(store.path(spec))
    with pytest.raises(ArtifactError) as caught:
        store.obtain(spec)
    message = str(caught.value)
    assert f"delete the folder {store.path(spec)} to have the classifier made again" in message
    shutil.rmtree(store.path(spec))
    mended = store.obtain(spec)
    assert mended.card["weights_sha256"] == sha256_file(finished / spec.title / WEIGHTS)


def test_a_store_that_cannot_be_written(make_spec, tmp_path):
    (tmp_path / "classifiers").write_text("a file where a folder should be")
    with pytest.raises(ArtifactError, match=r"cannot lock at .*: a file lies where a folder is needed: remove it"):
        ClassifierStore(tmp_path / "classifiers", CPU).obtain(make_spec())


def test_who_does_not_wait_is_told_that_another_process_is_at_it(make_spec, store):
    base = make_spec()
    tuned = make_spec({"initial": base, "seed": 9}, start="classifier")
    with locked(store.path(base)):
        for spec in (base, tuned):
            with pytest.raises(BusyError):
                store.obtain(spec, wait=False)
    assert not store.path(tuned).exists()
    assert store.obtain(tuned, wait=False).card["spec"]["initial"] == base.key
    with locked(store.path(base)):  # what is finished needs no lock
        assert store.obtain(base, wait=False).card["key"] == base.key
