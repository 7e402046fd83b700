"""Steps on the input: gradients in pieces of a batch, passes of stepped images by torch or by OpenVINO."""

from importlib.metadata import version

import numpy as np
import pytest
import torch

from ood_bench.methods.base import Scorer, View
from ood_bench.scoring import backends, compiled
from ood_bench.scoring.backends import Backend
from ood_bench.scoring.engine import Engine
from ood_bench.scoring.quantities import OUTPUT

BOTH = f"openvino {version('openvino')}, torch"
TAP = "block2.1"


@pytest.fixture
def classifier(toys):
    return toys.classifier(toys.map_model())


@pytest.fixture
def stepped(toys, classifier):
    """Scores of ODIN's grid and of FSSD's and Mahalanobis' steps at an inner tap, from one pass of a backend."""

    def score(name, images, *methods, engine=None):
        scorer = Scorer(engine or Engine(None, 16, backend=Backend(name)), [classifier], toys.TRAIN)
        options = {
            "odin": {"magnitudes": [0.0, 0.01, 0.02], "temperatures": [1.0, 1000.0]},
            "mahalanobis": {"magnitudes": [0.01], "taps": [TAP]},
            "fssd": {"magnitudes": [0.01], "taps": ["block1.1", TAP], "gradient_batch": 16},
        }
        steps = []
        for one in [toys.detector(method, **options[method]) for method in methods or options]:
            one.fit(scorer, np.random.RandomState(0))
            steps += one.steps(scorer, one.grid())
        return scorer.engine.stepped(classifier, View(images), steps), scorer.engine

    return score


def test_stepped_images_give_the_scores_of_torch(toys, classifier, stepped):
    images = toys.image_set("near", 43)
    (theirs, torch_engine), (ours, engine) = (stepped(name, images) for name in ("torch", "openvino"))
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4)
        assert not np.array_equal(mine, other)
    np.testing.assert_array_equal(ours[0][:, 0], theirs[0][:, 0])  # without a step it is the clean pass of the gradient
    assert [one.backend([classifier]) for one in (engine, torch_engine)] == [BOTH, None]


def test_stepped_scores_depend_on_no_other_set_and_say_who_made_them(toys, classifier, stepped, tmp_path):
    first, second = toys.image_set("near", 40), toys.image_set("static", 35)
    alone, _ = stepped("openvino", second, "odin")
    engine = Engine(tmp_path, 16, backend=Backend("openvino"))
    stepped("openvino", first, "odin", engine=engine)
    after, _ = stepped("openvino", second, "odin", engine=engine)
    kept, later = stepped("torch", second, "odin", engine=Engine(tmp_path, 16))
    assert all(np.array_equal(*pair) for both in (after, kept) for pair in zip(both, alone, strict=True))
    assert later.backend([classifier]) == BOTH


def test_auto_counts_the_passes_of_stepped_images(toys, classifier, stepped, monkeypatch):
    """Two temperatures and two magnitudes; a tap's multiplications end with it."""
    images, one = toys.image_set("near", 40), torch.zeros(1, 3, 8, 8)
    block, whole = (compiled.multiplications(classifier, one, [tap]) for tap in ("block1.1", OUTPUT))
    assert block == 16 * 64 * (27 + 2 * 144)
    for worth, said in ((160 * whole, BOTH), (160 * whole + 1, None)):
        monkeypatch.setattr(backends, "_WORTH", worth)
        _, engine = stepped("auto", images, "odin")
        assert engine.backend([classifier]) == said


def test_torch_goes_on_where_stepped_images_differ(toys, classifier, stepped, monkeypatch):
    images = toys.image_set("near", 40)
    monkeypatch.setattr(backends, "TOLERANCE", 0.0)
    monkeypatch.setattr(backends, "_WORTH", 0)
    (theirs, _), (ours, engine) = (stepped(name, images, "fssd") for name in ("torch", "auto"))
    assert all(np.array_equal(*pair) for pair in zip(ours, theirs, strict=True))
    assert engine.backend([classifier]) is None


def test_gradients_of_pieces_are_those_of_the_batch(toys, classifier, stepped, monkeypatch):
    """FSSD's are standardised over the whole batch; the largest map of an image has 16 channels of 8 x 8."""
    images, sizes = toys.image_set("near", 20), []
    whole, _ = stepped("torch", images, "fssd")
    monkeypatch.setattr(backends, "_GRADIENT_MAPS", (0, 6 * 4 * 16 * 64))
    handle = classifier.scoring_network.register_forward_pre_hook(lambda _module, found: sizes.append(len(found[0])))
    parts, _ = stepped("torch", images, "fssd")
    handle.remove()
    assert sizes == [100, 6, 6, 4, 16, 16, 4, 4, 4]  # noise; gradients, then stepped images for each tap
    for one, other in zip(parts, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
