import errno
import json
import logging
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ArtifactError
from ood_bench.models.card import CARD, WEIGHTS, read_card
from ood_bench.models.classifier import build_network
from ood_bench.training import artifact, trainer
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
    card = read_card(store.path(spec))
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


def flip(path):
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])


def swap(folder, other):
    shutil.rmtree(folder)
    shutil.copytree(other, folder)


def claim_more(path):
    card = json.loads(path.read_text())
    path.write_text(json.dumps({**card, "id_accuracy": 100.0, "accuracies": dict.fromkeys(card["accuracies"], 100.0)}))


DAMAGES = {
    "weights cut": lambda folder, _: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-4]),
    "weights empty": lambda folder, _: (folder / WEIGHTS).write_bytes(b""),
    "weights flipped": lambda folder, _: flip(folder / WEIGHTS),
    "weights of another": lambda folder, other: shutil.copy(other / WEIGHTS, folder / WEIGHTS),
    "card cut": lambda folder, _: (folder / CARD).write_text((folder / CARD).read_text()[:100]),
    "card claims more": lambda folder, _: claim_more(folder / CARD),
    "card lost": lambda folder, _: (folder / CARD).unlink(),
    "another one": swap,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_classifier_that_is_not_the_one_asked_for_is_set_aside_and_made_again(damage, make_spec, store, caplog):
    spec, other = make_spec(), make_spec({"seed": 1})
    before = store.obtain(spec).card
    store.obtain(other)
    DAMAGES[damage](store.path(spec), store.path(other))
    after = store.obtain(spec).card
    assert [after[key] for key in ("key", "weights_sha256", "id_accuracy")] == [
        before[key] for key in ("key", "weights_sha256", "id_accuracy")
    ]
    assert "it is renamed to .torn and made again" in caplog.text
    assert store.path(spec).with_name(f"{spec.title}.torn").exists()


def test_accuracy_is_that_of_the_test_set_that_is_asked_about(make_spec, store, images, monkeypatch):
    spec = make_spec()
    found = store.obtain(spec)
    first = found.card["id_accuracy"]
    x = found.normalise(torch.tensor(spec.test.images))
    right = ImageSet.of("right", spec.test.images, found.network(x).argmax(dim=1).numpy())
    assert store.obtain(replace(spec, test=right)).card["id_accuracy"] == 100 != first
    monkeypatch.setattr(artifact, "accuracy", lambda *_: pytest.fail("measured again"))
    for test, expected in ((spec.test, first), (right, 100)):
        assert store.obtain(replace(spec, test=test)).card["id_accuracy"] == expected


def test_a_checkpoint_that_is_overwritten_during_a_run_is_not_scored_as_the_old_one(make_spec, store, tmp_path):
    file = tmp_path / "net.pth"
    spec = make_spec({"checkpoint": file})
    networks = [build_network(spec.model, spec.data.shape, spec.classes) for _ in range(2)]
    torch.save(networks[0].state_dict(), file)
    expected = spec.key
    assert store.obtain(spec).card["spec"]["imported_sha256"] == sha256_file(file)
    torch.save(networks[1].state_dict(), file)
    with pytest.raises(ArtifactError, match=r"net\.pth has changed since the run began: start the run again"):
        store.obtain(spec)
    anew = make_spec({"checkpoint": file})
    assert anew.key != expected
    torch.testing.assert_close(store.obtain(anew).network.state_dict(), networks[1].state_dict())


@pytest.mark.parametrize("damage", [flip, lambda path: path.write_bytes(b""), lambda path: path.write_text("<html>")])
def test_a_damaged_training_checkpoint_is_set_aside_and_training_starts_again(damage, make_spec, store, caplog):
    spec = make_spec()
    expected = store.obtain(spec).card["weights_sha256"]
    shutil.rmtree(store.path(spec))
    checkpoint = store.path(spec).with_name(f"{spec.title}.training") / "last.ckpt"
    trainer.Trainer(spec, CPU).run(checkpoint)
    damage(checkpoint)
    assert store.obtain(spec).card["weights_sha256"] == expected
    assert "training starts again" in caplog.text


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
