"""Wrong inputs end with one clear message and a failing status, and leave nothing half-written."""

import errno
import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ood_bench
from ood_bench.errors import ArtifactError, ConfigError, DataError, OodBenchError, RecordError, TrainingError
from ood_bench.models.classifier import CARD, WEIGHTS
from ood_bench.training import artifact

STORE, RESULTS = Path("outputs/quickstart/store"), Path("outputs/quickstart/results")


def files():
    """Every file below the working directory but locks."""
    return sorted(path for path in Path().rglob("*") if path.is_file())


def half_written():
    """Temporary files and folders: all of them begin with a dot."""
    return [path for path in Path().rglob("*") if path.name.startswith(".")]


BY_CONFIG = [
    ("method=nope", "there is no method 'nope'", "msp"),
    ("ood=nope", "there is no ood 'nope'", "uniform"),
    ("foo=1", "there is no key 'foo'", ""),
    ("method.msp.temperature=1", "there is no key 'method.msp.temperature'", ""),
    ("+method.msp.temperature=1", "method msp: temperature: unknown key", "known keys: none"),
    ("+protocol.fold=1", "protocol plain: fold: unknown key", ""),
    ("+model.width=1", "model 'lenet': cannot build ood_bench.models.lenet.LeNet", "'width'"),
    ("+ood.uniform.source.sed=1", "source of uniform (kind noise): sed: unknown key (did you mean seed?)", "recipe"),
    ("+train.epoch=1", "train: epoch: unknown key (did you mean epochs?)", ""),
    ("train.epochs=many", "train: epochs: ", "is 'many'"),
    ("train.optimizer.name=adam", "train: optimizer.name: input should be 'sgd' or 'adadelta', is 'adam'", ""),
    ("train.optimizer.lr=-1", "train: optimizer.lr: input should be greater than 0, is -1", ""),
    ("train.augment=[blur]", "train: augment.0: input should be 'flip', ", ""),
    ("train.start=classifier", "an initial classifier is needed to fine-tune", ""),
    ("ood.uniform.source.count=few", "source of uniform (kind noise): count", "integer"),
    ("ood.uniform.source.kind=noisy", "kind is 'noisy' (did you mean noise?)", "known are archive"),
    ("ood.uniform.source.kind=[noise]", "kind is ['noise']", "known are archive"),
    ("ood.uniform.source.seed=99999999999999999999", "source of uniform (kind noise): seed", "less than"),
    ("ood.uniform.source.shape=[3,8,8]", "ood.uniform: images of uniform have 3 channels", "digits have 1"),
    ("ood.uniform.source.shape=[1,5,5]", "model lenet, made for 1x8x8 images, cannot take the 1x5x5 ones", "resize"),
    ("ood.uniform.source.shape=[1,16,8]", "cannot take the 1x16x8 ones of uniform: set ood.uniform.source.resize", ""),
    ("id.shape=[1,9,9]", "id.shape is [1, 9, 9], the images are (1, 8, 8)", ""),
    ("id.shape=8", "id: shape: input should be a valid tuple, is 8", "conf/id/fashionmnist.yaml"),
    ("id.classes=7", "digits: labels go from 0 to 7, id.classes=7 needs 0 to 6", ""),
    ("id.classes=-1", "id: classes: input should be greater than or equal to 2, is -1", ""),
    ("id.normalisation.mean=[0.1,0.2]", "id.normalisation.mean needs 1 numbers, one a channel", ""),
    ("id.normalisation.std=[0]", "id: normalisation.std.0: input should be greater than 0", ""),
    ("id.normalisation=null", "id: normalisation:", "conf/id/fashionmnist.yaml"),
    ("model._target_=ood_bench.models.lenet.Nope", "cannot find the class ood_bench.models.lenet.Nope", ""),
    ("model._target_=3", "model._target_ is 3: it needs the import path of a class", ""),
    ("~method.msp._target_", "method.msp._target_ is None", ""),
    ("protocol._target_=[]", "protocol._target_ is []", ""),
    ("protocol.seed=-1", "protocol plain: its seed cannot be used", ""),
    ("protocol.convention=nope", "no metric convention 'nope': choose one of exact", ""),
    ("method=mc_dropout method.mc_dropout.seed=-1", "method mc_dropout: seed is -1", ""),
    ("method=odin method.odin.magnitudes=[0.0,0.1]", "method odin has 2 candidate settings", "protocol=fssd"),
    ("method=[]", "no method is selected: choose one or more, as in method=msp", ""),
    ("seed=-1", "seed.0: input should be greater than or equal to 0, is -1", ""),
    ("device=gpu", "device: string should match", "is 'gpu'"),
    ("device=cuda:99", "device=cuda:99: torch finds", "set device=cpu or device=auto"),
    ("store.root=${nope}", "Interpolation key 'nope' not found (key: store.root)", ""),
    ("checkpoint=nowhere.pth", "checkpoint=nowhere.pth: there is no such file", "checkpoint=null"),
]


@pytest.mark.parametrize("case", BY_CONFIG, ids=[override for override, *_ in BY_CONFIG])
def test_what_the_configuration_asks_for(quick, monkeypatch, case):
    override, *wanted = case
    monkeypatch.setattr(artifact, "Trainer", lambda *_: pytest.fail("training began"))
    with pytest.raises(OodBenchError) as caught:
        ood_bench.run([*quick, *override.split()])
    for part in wanted:
        assert part in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert not RESULTS.exists()
    assert half_written() == []


COMMANDS = [
    ("method=nope", 2, "there is no method 'nope'; known: deep_ensemble"),
    ("train.epochs=many", 2, "error: train: epochs: input should be a valid integer"),
    ("ood.uniform.source.shape=[3,8,8]", 2, "error: ood.uniform: images of uniform have 3 channels"),
    ("seed=-1", 2, "error: configuration: seed.0: input should be greater than or equal to 0, is -1"),
    ("store.root=${nope}", 2, "error: configuration: Interpolation key 'nope' not found (key: store.root)"),
    ("id=fashionmnist", 2, "there is no key 'id.train.test_fraction'"),
]


@pytest.mark.parametrize(("override", "status", "message"), COMMANDS, ids=[override for override, *_ in COMMANDS])
def test_the_command_line_says_it_once(quick, command_line, override, status, message):
    said = command_line(*quick, override)
    assert said.status == status
    assert message in said.err
    assert said.err.count("error:") <= 1
    assert "Traceback" not in said.err + said.out
    assert not RESULTS.exists()
    assert half_written() == []


def png(seed, side=8, mode="L"):
    channels = () if mode == "L" else (3,)
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, *channels), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def scenes(quick):
    """A run whose OOD set is a folder of images, and the folder."""
    folder = Path("data/intel-scenes/forest")
    folder.mkdir(parents=True)
    source = "ood.scenes.source"
    words = [word for word in quick if "uniform" not in word]
    return [
        *words,
        "ood=scenes",
        "data.root=data",
        "store.root=outputs/quickstart/store",
        f"+{source}.mode=L",
        f"{source}.resize=squash",
        f"{source}.size=8",
        f"{source}.count=4",
    ], folder


def refused(words, kind, *parts):
    with pytest.raises(kind) as caught:
        ood_bench.run(words)
    for part in parts:
        assert part in str(caught.value)
    assert not RESULTS.exists()
    assert half_written() == []


def test_a_folder_of_images(scenes):
    words, folder = scenes
    refused(words, DataError, "scenes: no image files in sub-folders of data/intel-scenes")
    for number in range(4):
        (folder / f"{number}.png").write_bytes(png(number))
    (folder / "2.png").write_bytes(png(2)[:40])
    refused(words, DataError, "forest/2.png: not a whole picture")
    (folder / "2.png").write_bytes(b"<!DOCTYPE html><html>")
    refused(words, DataError, "forest/2.png: not a whole picture (a web page was saved under this name)")
    (folder / "2.png").unlink()
    refused(words, DataError, "data/intel-scenes holds 3 images, not 4: incomplete?")
    (folder / "2.png").write_bytes(png(2))
    assert list(ood_bench.run(words)["n_ood"]) == [4]
    assert half_written() == []


def test_a_missing_folder_is_named_with_how_to_get_it(scenes):
    words, folder = scenes
    folder.rmdir()
    folder.parent.rmdir()
    refused(words, DataError, "some image sets are not under data.root=data", "data/intel-scenes", "get it by hand")


def test_an_archive(quick):
    words = [word for word in quick if "uniform" not in word]
    source = "ood.isun.source"
    words += ["ood=isun", "data.root=data", "store.root=outputs/quickstart/store", f"+{source}.mode=L"]
    words += [f"{source}.resize=squash", f"{source}.size=8", f"{source}.count=3"]
    archive = Path("data/iSUN.tar.gz")
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        for number in range(3):
            content = png(number)
            member = tarfile.TarInfo(f"iSUN/{number}.png")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    whole = archive.read_bytes()
    refused(words, DataError, "iSUN.tar.gz: MD5 is", "incomplete or changed: delete it and get it again")
    words.append(f"{source}.md5=null")
    archive.write_bytes(whole[: len(whole) // 2])
    refused(words, DataError, "iSUN.tar.gz: corrupt or cut off", "delete it and get it again")
    archive.write_bytes(b"<html><body>Please confirm the download")
    refused(words, DataError, "iSUN.tar.gz: a web page was saved under this name")
    archive.write_bytes(whole)
    assert list(ood_bench.run(words)["n_ood"]) == [3]
    assert half_written() == []


@pytest.fixture
def finished(quick):
    """A run that is done: its overrides, its one record and its one classifier."""
    ood_bench.run(quick)
    (record,) = (RESULTS / "records").rglob("*.json")
    (classifier,) = (path.parent for path in STORE.rglob(CARD))
    return quick, record, classifier


def test_a_truncated_checkpoint(finished):
    quick, record, classifier = finished
    record.unlink()
    for path in classifier.iterdir():
        path.unlink()
    classifier.rmdir()
    checkpoint = classifier.with_name(f"{classifier.name}.training") / "last.ckpt"
    checkpoint.parent.mkdir()
    torch.save({"key": "x"}, checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:200])
    before = files()
    with pytest.raises(ArtifactError, match=f"checkpoint .*{checkpoint.name} is truncated or damaged .*: delete it"):
        ood_bench.run(quick)
    assert files() == before
    assert half_written() == []
    checkpoint.unlink()
    assert len(ood_bench.run(quick)) == 1


@pytest.mark.parametrize("name", [WEIGHTS, CARD])
def test_a_damaged_classifier(finished, name):
    quick, record, classifier = finished
    content = record.read_text()
    record.unlink()
    path = classifier / name
    path.write_bytes(path.read_bytes()[:-30])
    before = files()
    with pytest.raises(ArtifactError, match=r"delete the folder .* to have the classifier made again") as caught:
        ood_bench.run(quick)
    assert str(classifier) in str(caught.value)
    assert files() == before
    assert half_written() == []
    for one in classifier.iterdir():
        one.unlink()
    classifier.rmdir()
    ood_bench.run(quick)
    assert json.loads(record.read_text())["exact"] == json.loads(content)["exact"]


def test_a_damaged_record(finished):
    quick, record, _ = finished
    record.write_text(record.read_text()[:300])
    with pytest.raises(RecordError) as caught:
        ood_bench.run(quick)
    for part in (str(record), "Invalid JSON", "restore the file or set it aside", f"--set-aside {record}"):
        assert part in str(caught.value)
    assert len(record.read_text()) == 300
    record.unlink()
    assert len(ood_bench.run(quick)) == 1


def test_damaged_banks_and_images_are_made_again(finished, caplog):
    quick, record, _ = finished
    content = json.loads(record.read_text())
    record.unlink()
    banks, images = list((STORE / "banks").rglob("*.npy")), list((STORE / "images").glob("uniform-*/images.npy"))
    assert len(banks) >= 2
    assert len(images) == 1
    for path in (*banks, *images):
        path.write_bytes(path.read_bytes()[:20])
    ood_bench.run(quick)
    assert json.loads(record.read_text())["exact"] == content["exact"]
    damaged = [line for line in caplog.messages if "made again" in line]
    assert len(damaged) == len(banks) + len(images)


@pytest.mark.parametrize("key", ["store.root", "results.root"])
@pytest.mark.parametrize("below", ["", "/deeper/still"])
def test_a_file_where_a_folder_should_be(quick, monkeypatch, key, below):
    monkeypatch.setattr(artifact, "Trainer", lambda *_: pytest.fail("training began"))
    Path("taken").write_text("a file")
    with pytest.raises(ArtifactError, match=r"at taken.*: a file lies where a folder is needed: remove it, or set"):
        ood_bench.run([*quick, f"{key}=taken{below}"])
    assert Path("taken").read_text() == "a file"
    assert half_written() == []


class HalfFull(io.FileIO):
    """A file that takes half of what it is given, then fails."""

    fault = OSError()

    def write(self, content):
        super().write(content[: len(content) // 2])
        raise self.fault


def fail_at(monkeypatch, place, fault):
    """The system refuses to write files whose path holds ``place``, in the middle of writing them."""
    fdopen, save = os.fdopen, np.save

    def picky_fdopen(descriptor, *rest, **options):
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        return (
            HalfFull(descriptor, "wb") if place in str(path) and not options else fdopen(descriptor, *rest, **options)
        )

    def picky_save(file, array):
        save(file, array)
        if place in str(file):
            raise fault

    monkeypatch.setattr(HalfFull, "fault", fault)
    monkeypatch.setattr(os, "fdopen", picky_fdopen)
    monkeypatch.setattr(np, "save", picky_save)


DISK = [
    (OSError(errno.ENOSPC, "No space left"), "the disk is full: free some space, or set store.root (or results.root)"),
    (OSError(errno.EACCES, "Permission denied"), "no permission: set store.root (or results.root) to a folder"),
]
PLACES = ["/images/.uniform", "last.ckpt", WEIGHTS, CARD, "/banks/", "/records/"]


@pytest.mark.parametrize("fault", DISK, ids=["full", "denied"])
def test_a_disk_that_refuses(quick, monkeypatch, fault):
    """Each kind of file in turn; what was finished before stays and is used by the next attempt."""
    error, mend = fault
    count = 0
    for place in PLACES:
        with monkeypatch.context() as patch:
            fail_at(patch, place, error)
            with pytest.raises(ArtifactError) as caught:
                ood_bench.run(quick)
        assert f": {mend}" in str(caught.value)
        assert place.strip("/").split("/")[0] in str(caught.value)
        assert half_written() == []
        assert list((RESULTS / "records").rglob("*.json")) == []
        assert len(files()) >= count
        count = len(files())
    monkeypatch.setattr(artifact.Trainer, "_epoch", lambda *_: pytest.fail("trained again"))
    assert len(ood_bench.run(quick)) == 1


def test_a_learning_rate_that_explodes(quick):
    sgd = ["train=resnet20", "train.epochs=1", "train.optimizer.lr=1e25", "train.augment=[]"]
    with pytest.raises(TrainingError, match=r"not finite in epoch 1, .*lower train\.optimizer\.lr"):
        ood_bench.run([*quick, *sgd])
    assert list(RESULTS.rglob("*.json")) == []
    assert half_written() == []


@pytest.mark.parametrize("words", ["fssd.taps=[relu9]", "mahalanobis.taps=[relu9]", "feature_norm.tap=relu9"])
def test_a_tap_that_the_network_lacks_is_refused_before_training(quick, words):
    with pytest.raises(ConfigError, match=r"lenet has no tap 'relu9'; it has conv1, conv2, fc1, logits"):
        ood_bench.run([*quick, f"method={words.split('.')[0]}", f"method.{words}"])
    assert not (STORE / "classifiers").exists()
    assert list(RESULTS.rglob("*.json")) == []
    assert half_written() == []
