"""OpenVINO beside torch: the same numbers, and torch wherever it cannot be used."""

import copy
import logging
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest
import torch
from torch import nn

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Scorer, View
from ood_bench.metrics import measure
from ood_bench.scoring import backends, compiled
from ood_bench.scoring.backends import Backend
from ood_bench.scoring.engine import Engine
from ood_bench.scoring.maps import ShapedMean
from ood_bench.scoring.quantities import LOGITS, OUTPUT, Distance, Flat, Mean, Quantity, RectifiedNorm
from ood_bench.scoring.shard_engine import ShardEngine

OPENVINO = f"openvino {version('openvino')}"
TAP = "block2.1"


@pytest.fixture
def classifier(toys):
    """Residual blocks with batch norms, a shortcut by padding, and a pooled map; its ReLUs overwrite their input."""
    network = copy.deepcopy(toys.classifier(toys.map_model()).network)
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = True
    return toys.classifier_of(network)


@pytest.fixture
def wanted():
    centre = np.random.default_rng(0).random((32, 4, 4), dtype=np.float32)
    reductions = Mean(), Flat(), RectifiedNorm(), Distance(centre)
    return [LOGITS, *(Quantity(TAP, one) for one in reductions), Quantity("block1.1", ShapedMean("top", 65.0))]


@pytest.fixture
def always(monkeypatch):
    monkeypatch.setattr(backends, "_WORTH", 0)


def worst(one, other):
    return max(np.abs(one[quantity] - other[quantity]).max() / np.abs(one[quantity]).max() for quantity in one)


@pytest.mark.parametrize("kept", [4 << 20, 1 << 10])  # all images of a batch at once, and one after the other
def test_every_reduction_is_that_of_torch(toys, classifier, wanted, kept, monkeypatch):
    monkeypatch.setattr(compiled, "_PIECE_BYTES", kept)
    engine = Engine(None, 16, backend=Backend("openvino"))
    for images in toys.image_set("near", 43), toys.image_set("static", 21):  # the second by what was compiled before
        torch_rows = Engine(None, 16).collect(classifier, images, wanted)
        rows = engine.collect(classifier, images, wanted)
        assert 0 < worst(torch_rows, rows) < 1e-5
        assert {one: array.shape for one, array in rows.items()} == {q: a.shape for q, a in torch_rows.items()}
    assert engine.backend([classifier]) == OPENVINO
    assert sys.modules["openvino_telemetry"] is None  # nothing can be sent


def test_auroc_stays_and_only_ties_change_places(toys, classifier):
    """Of methods on logits, features and whole maps; one pair that changes places moves AUROC by 0.0025 points."""
    inside, outside = toys.image_set("id", 200, seed=1), toys.image_set("near", 200)
    for method in ("msp", "energy", "mahalanobis", "knn", "feature_norm"):
        found = {}
        for backend in ("torch", "openvino"):
            detector = toys.detector(method, **({"tap": TAP} if method == "feature_norm" else {}))
            scorer = Scorer(Engine(None, 64, backend=Backend(backend)), [classifier], toys.TRAIN)
            detector.fit(scorer, np.random.RandomState(0))
            detector.calibrate(scorer, detector.grid()[0])
            found[backend] = [detector.scores(scorer, View(one), detector.grid()[0]) for one in (inside, outside)]
        ours, theirs = (np.concatenate(scores) for scores in found.values())
        tie = 2e-5 * np.abs(ours).max()
        assert 0 < np.abs(ours - theirs).max() < tie
        assert np.diff(ours[np.argsort(theirs)]).min() > -tie
        auroc = [measure("exact", *scores, resamples=0)[1]["auroc"].value for scores in found.values()]
        assert abs(auroc[0] - auroc[1]) < 0.001


def test_banks_say_who_made_them_and_serve_both(toys, classifier, tmp_path):
    images, mean = toys.image_set("near", 40), Quantity(TAP, Mean())
    by_torch = Engine(tmp_path, 16).collect(classifier, images, [mean])
    Engine(tmp_path, 16, backend=Backend("openvino")).collect(classifier, images, [LOGITS])
    both = Engine(tmp_path, 16, backend=Backend("openvino"))
    np.testing.assert_array_equal(both.collect(classifier, images, [mean])[mean], by_torch[mean])
    assert both.backend([classifier]) is None
    Engine(tmp_path, 16).collect(classifier, images, [LOGITS, mean])
    later = Engine(tmp_path, 16)
    later.collect(classifier, images, [LOGITS, mean])
    assert later.backend([classifier]) == f"{OPENVINO}, torch"


def test_shards_say_who_made_them(toys, classifier, tmp_path):
    images = toys.image_set("near", 60)
    ShardEngine(tmp_path, 10, 2, 0, Backend("openvino")).fill(classifier, images, [LOGITS])
    engine = Engine(tmp_path, 10, 2)
    rows = engine.collect(classifier, images, [LOGITS])
    assert worst(Engine(None, 10).collect(classifier, images, [LOGITS]), rows) < 1e-5
    assert engine.backend([classifier]) == f"{OPENVINO}, torch"


def test_rows_of_a_set_depend_neither_on_the_sets_before_it_nor_on_shards(toys, classifier, wanted, tmp_path):
    first, second = toys.image_set("near", 40), toys.image_set("static", 25)
    alone = Engine(None, 10, backend=Backend("openvino")).collect(classifier, second, wanted)
    engine = Engine(None, 10, backend=Backend("openvino"))
    engine.collect(classifier, first, wanted)
    ShardEngine(tmp_path, 10, 3, 1, Backend("openvino")).fill(classifier, second, wanted)  # one batch
    joined = Engine(tmp_path, 10, 3, Backend("openvino")).collect(classifier, second, wanted)
    for rows in engine.collect(classifier, second, wanted), joined:
        assert all(np.array_equal(rows[one], alone[one]) for one in wanted)


def test_auto_takes_it_for_a_long_pass_only(toys, classifier, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG, "ood_bench")
    images, backend = toys.image_set("near", 40), Backend("auto")
    short, long = Engine(None, 16, backend=backend), Engine(None, 16, backend=backend)
    short.collect(classifier, images, [LOGITS])
    multiplications = compiled.multiplications(classifier, torch.zeros(1, 3, 8, 8), [OUTPUT])
    blocks = 16 * 64 * (27 + 2 * 144) + 32 * 16 * (144 + 288) + 32 * 4
    assert multiplications == blocks
    monkeypatch.setattr(backends, "_WORTH", 40 * multiplications)
    long.collect(classifier, images, [LOGITS])
    assert [short.backend([classifier]), long.backend([classifier])] == [None, OPENVINO]
    assert [line for line in caplog.messages if "scored by" in line] == [
        "toy is scored by torch: the pass is too short to be worth a conversion"
    ]


class Branching(nn.Module):
    """Does something else with dark images: a trace would keep what it did with the first ones."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.taps, self.penultimate = inner, inner.taps, inner.penultimate

    def forward(self, x):
        return self.inner(x) if x.mean() > 0 else -self.inner(x)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("reason", ["control", "differs", "not installed"])
def test_torch_where_it_cannot_be_used(toys, classifier, reason, caplog, monkeypatch):
    caplog.set_level(logging.INFO, "ood_bench")
    images = toys.image_set("near", 40)
    if reason == "control":
        network = Branching(toys.classifier().network)
        network.taps = {name: f"inner.{path}" for name, path in network.taps.items()}
        classifier = toys.classifier_of(network)
        said = "OpenVINO cannot convert it: Converting a tensor to a Python boolean"
    if reason == "differs":
        monkeypatch.setattr(backends, "TOLERANCE", 0.0)
        said = "output-flat of OpenVINO differs by "
    if reason == "not installed":
        monkeypatch.setattr(backends, "installed", lambda: False)
        said = "OpenVINO is not installed"
    engine = Engine(None, 16, backend=Backend("auto"))
    rows = engine.collect(classifier, images, [LOGITS])
    np.testing.assert_array_equal(rows[LOGITS], Engine(None, 16).collect(classifier, images, [LOGITS])[LOGITS])
    assert engine.backend([classifier]) is None
    assert [said in line for line in caplog.messages if "scored by torch" in line] == [True]
    with pytest.raises(ConfigError, match=f"scoring.backend=openvino: {said}") as error:
        Engine(None, 16, backend=Backend("openvino")).collect(classifier, images, [LOGITS])
    assert "backend=auto" in error.value.hint


@pytest.mark.parametrize(("largest", "sizes"), [(16 * 64 * 4 * 6, [6, 6, 4, 4]), (1, [1] * 20), (1 << 30, [16, 4])])
def test_torch_takes_so_few_images_at_once_that_its_maps_are_small(toys, classifier, largest, sizes, monkeypatch):
    """Pieces of 16 images and of 4; the largest map of an image has 16 channels of 8 x 8."""
    images, seen = toys.image_set("near", 20), []
    whole = Engine(None, 16).collect(classifier, images, [LOGITS])[LOGITS]
    monkeypatch.setattr(backends, "_LARGEST_MAP", largest)
    handle = classifier.scoring_network.register_forward_pre_hook(lambda _module, found: seen.append(len(found[0])))
    rows = Engine(None, 16).collect(classifier, images, [LOGITS])[LOGITS]
    handle.remove()
    np.testing.assert_allclose(rows, whole, rtol=1e-5, atol=1e-5)
    assert seen == sizes


def test_compiled_passes_that_were_not_used_for_longest_are_forgotten(toys, classifier, monkeypatch):
    backend, images = Backend("openvino"), toys.image_set("near", 16)
    wanted = [Quantity(tap, Mean()) for tap in ("block1.1", TAP, "block1.1")] + [LOGITS]
    for one in wanted:  # the third is known, and used again
        Engine(None, 16, backend=backend).collect(classifier, images, [one])
        monkeypatch.setattr(backends, "_KEPT", 2 * backend.ready(classifier, [one], 16).size)
    assert [bool(backend.ready(classifier, [one], 16)) for one in wanted[1:]] == [False, True, True]


INTERRUPTED = """
import os, signal, time
import torch
from torch import nn
from ood_bench.models.classifier import Classifier, freeze
from ood_bench.models.lenet import LeNet
from ood_bench.scoring.compiled import CompiledPass
from ood_bench.scoring.quantities import LOGITS

classifier = Classifier(freeze(LeNet(shape=(1, 8, 8), classes=4)), (0.0,), (1.0,))
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the suite is a job in the background
passes = [CompiledPass(classifier, [LOGITS], torch.zeros(2, 1, 8, 8)) for _ in range(2)]
del passes[0]
del passes[0]
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_process_can_be_interrupted_after_compiled_passes_are_forgotten():
    """OpenVINO leaves a stack for signals behind that is no more, where each pass has a core of its own."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
