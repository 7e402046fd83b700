"""Wrong inputs end with one clear message and a failing status, and leave nothing half-written."""

import errno
import io
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from torch import nn

import ood_bench
from ood_bench.errors import ArtifactError, ConfigError, OodBenchError, RecordError
from ood_bench.models.card import CARD, WEIGHTS
from ood_bench.models.lenet import LeNet
from ood_bench.models.wrapped import WrappedModel
from ood_bench.runner.checks import check_taps
from ood_bench.training import artifact

STORE, RESULTS = Path("outputs/quickstart/store"), Path("outputs/quickstart/results")


def files():
    """Every file below the working directory but locks."""
    return sorted(path for path in Path().rglob("*") if path.is_file())


def half_written():
    """Temporary files and folders: all of them begin with a dot."""
    return [path for path in Path().rglob("*") if path.name.startswith(".")]


BY_CONFIG = [
    ("+method.msp.temperature=1", "method msp: temperature: unknown key", "known keys: none"),
    ("+protocol.fold=1", "protocol plain: fold: unknown key", ""),
    ("+model.width=1", "model 'lenet': cannot build ood_bench.models.lenet.LeNet", "'width'"),
    ("+ood.uniform.source.sed=1", "source of uniform (kind noise): sed: unknown key (did you mean seed?)", "recipe"),
    ("train.start=classifier", "an initial classifier is needed to fine-tune", ""),
    ("ood.uniform.source.count=few", "source of uniform (kind noise): count", "integer"),
    ("ood.uniform.source.kind=noisy", "kind is 'noisy' (did you mean noise?)", "known are archive"),
    ("ood.uniform.source.kind=[noise]", "kind is ['noise']", "known are archive"),
    ("ood.uniform.source.seed=99999999999999999999", "source of uniform (kind noise): seed", "less than"),
    (
        "ood.uniform.source.shape=[3,8,8]",
        "ood.uniform: images of uniform have 3 channels",
        "those of the ID set have 1",
    ),
    (
        "ood.uniform.source.shape=[1,5,5]",
        "model lenet, made for 1x8x8 images, cannot take the 1x5x5 images of ood.uniform",
        "resize",
    ),
    ("ood.uniform.source.shape=[1,16,8]", "cannot take the 1x16x8 images of ood.uniform", ""),
    ("seed=[0,1,0]", "seed: 0 is named twice", ""),
    ("id.shape=[1,9,9]", "id.shape is [1, 9, 9], the images are (1, 8, 8)", ""),
    ("id.shape=8", "id: shape: input should be a valid tuple, is 8", "conf/id/fashionmnist.yaml"),
    ("id.classes=-1", "id: classes: input should be greater than or equal to 2, is -1", ""),
    ("id.normalisation.mean=[0.1,0.2]", "id.normalisation.mean needs 1 numbers, one a channel", ""),
    ("id.normalisation.std=[0]", "id: normalisation.std.0: input should be greater than 0", ""),
    ("id.normalisation=null", "id: normalisation:", "conf/id/fashionmnist.yaml"),
    ("model._target_=ood_bench.models.lenet.Nope", "cannot find the class ood_bench.models.lenet.Nope", ""),
    ("protocol._target_=[]", "protocol._target_ is []", ""),
    ("protocol.seed=-1", "protocol plain: its seed cannot be used", ""),
    (
        "tune.name=nope",
        "tune: input should be 'published', 'none', 'id_only', ",
        "",
    ),
    ("protocol.convention=nope", "no metric convention 'nope': choose one of exact", ""),
    (
        "method=mc_dropout method.mc_dropout.seed=-1",
        "method mc_dropout: seed: input should be greater than or equal to 0",
        "",
    ),
    ("checkpoint_entry=ema", "checkpoint_entry, checkpoint_ignore and checkpoint_rename need checkpoint=FILE", ""),
    ("checkpoint=/dev/null", "checkpoint=/dev/null is a named pipe, a socket or a device", "it takes a file"),
    ("checkpoint=odin/densnet10", "no such file (did you mean odin/densenet10?)", "ood-bench checkpoints list"),
    ("checkpoint=odin/densenet10", "odin/densenet10.pth.tar.gz is missing", "checkpoints fetch odin/densenet10"),
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


@pytest.fixture
def finished(quick):
    """A run that is done: its overrides and its one record."""
    ood_bench.run(quick)
    (record,) = (RESULTS / "records").rglob("*.json")
    return quick, record


def test_a_damaged_record(finished):
    quick, record = finished
    record.write_text(record.read_text()[:300])
    with pytest.raises(RecordError) as caught:
        ood_bench.run(quick)
    for part in (str(record), "not whole JSON", "restore the file or set it aside", f"--set-aside {record}"):
        assert part in str(caught.value)
    assert len(record.read_text()) == 300
    record.unlink()
    assert len(ood_bench.run(quick)) == 1


@pytest.mark.parametrize("key", ["store.root", "results.root"])
def test_a_file_where_a_folder_should_be(quick, monkeypatch, key):
    monkeypatch.setattr(artifact, "Trainer", lambda *_: pytest.fail("training began"))
    Path("taken").write_text("a file")
    with pytest.raises(ArtifactError, match=r"at taken.*: a file lies where a folder is needed: remove it, or set"):
        ood_bench.run([*quick, f"{key}=taken"])
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


@pytest.mark.parametrize("words", ["fssd.taps=[relu9]", "mahalanobis.taps=[relu9]", "feature_norm.tap=relu9"])
def test_a_tap_that_the_network_lacks_is_refused_before_training(quick, words):
    with pytest.raises(ConfigError, match=r"lenet has no tap 'relu9'; it has conv1, conv2, fc1, logits"):
        ood_bench.run([*quick, f"method={words.split('.')[0]}", f"method.{words}"])
    assert not (STORE / "classifiers").exists()
    assert list(RESULTS.rglob("*.json")) == []
    assert half_written() == []


class Last(nn.Module):
    """Puts the channels last."""

    def forward(self, x):
        return x.movedim(1, -1)


def test_a_map_whose_channels_come_last_is_refused_with_the_setting_that_says_so():
    net = nn.Sequential(nn.Conv2d(1, 8, 1), Last())
    reader = SimpleNamespace(tap_names=lambda _: ["maps"])
    with pytest.raises(ConfigError, match=r"tap maps gives \[B, 4, 4, 8\].*: set '\+model\.channels_last=\[maps\]'"):
        check_taps("swin", WrappedModel(net, {"maps": "1"}, "maps"), (1, 4, 4), {"fssd": reader})


def test_a_network_of_a_fixed_input_size_is_refused_before_decoding(quick, monkeypatch):
    def forward(self, x):
        raise AssertionError(f"Input height ({x.shape[2]}) doesn't match model (224).")

    monkeypatch.setattr(LeNet, "forward", forward)
    with pytest.raises(
        ConfigError, match=r"model lenet cannot take the 1x8x8 images of id \(AssertionError: Input height"
    ) as raised:
        ood_bench.run(quick)
    assert "+model.options.img_size=PIXELS" in raised.value.hint
    assert "resize" in raised.value.hint
    assert not Path("store").exists()
