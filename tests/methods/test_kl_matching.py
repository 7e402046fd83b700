import math

import numpy as np
import pytest
import torch
from last_layer import learner
from pytorch_ood.detector import KLMatching as Theirs
from scipy.special import softmax

from ood_bench.data.imageset import ImageSet
from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.methods.kl_matching import KlMatching

RANDOM = np.random.default_rng(0)
TRAIN, LOGITS = RANDOM.normal(0, 2, (200, 5)), RANDOM.normal(0, 2, (40, 5))
TRAIN[:, 4] -= 100  # class 4 is never predicted
LABELS = RANDOM.integers(0, 5, 200)
learned = learner(KlMatching, TRAIN, labels=LABELS)


def slow(train, logits):
    """The formula, image by image and class by class."""
    rows = softmax(train, axis=1).tolist()
    groups = [[row for row in rows if max(row) == row[label]] for label in range(train.shape[1])]
    typical = [[sum(column) / len(group) for column in zip(*group, strict=True)] for group in groups if group]
    return [
        -min(sum(a * math.log(a / b) for a, b in zip(p, d, strict=True)) for d in typical)
        for p in softmax(logits, axis=1).tolist()
    ]


def test_score_against_the_formula():
    np.testing.assert_allclose(learned().score(LOGITS), slow(TRAIN, LOGITS), rtol=1e-9)


def test_pytorch_ood_before_0_4_took_labels_and_the_predicted_class_alone():
    rows = softmax(TRAIN, axis=1)
    typical = [np.mean([row for row, label in zip(rows, LABELS, strict=True) if label == k], axis=0) for k in range(5)]
    expected = [
        -sum(a * math.log(a / b) for a, b in zip(p, typical[p.argmax()], strict=True)) for p in softmax(LOGITS, axis=1)
    ]
    np.testing.assert_allclose(learned(definition="pytorch_ood_0.3").score(LOGITS), expected, rtol=1e-9)
    assert not np.allclose(learned().score(LOGITS), expected, rtol=0.1)
    with pytest.raises(ConfigError, match=r"no training image of class 4: set method\.kl_matching\.definition=paper"):
        learned(labels=LABELS % 4, definition="pytorch_ood_0.3")


def test_pytorch_ood_agrees():
    theirs = Theirs(None).fit_logits(torch.from_numpy(TRAIN), torch.from_numpy(LABELS))
    np.testing.assert_allclose(learned().score(LOGITS), -theirs.predict_logits(torch.from_numpy(LOGITS)), rtol=1e-9)


def test_a_typical_softmax_itself_scores_0_and_all_others_below():
    typical = softmax(TRAIN[TRAIN.argmax(axis=1) == 2], axis=1).mean(axis=0)
    np.testing.assert_allclose(learned().score(np.log(typical)[None]), 0, atol=1e-14)
    assert (learned().score(LOGITS) < 0).all()


def test_labels_and_constants_change_nothing():
    np.testing.assert_array_equal(learned(labels=np.roll(LABELS, 1)).score(LOGITS), learned().score(LOGITS))
    np.testing.assert_allclose(learned(TRAIN + 9).score(LOGITS - 9), learned().score(LOGITS), rtol=1e-10)


def test_probabilities_that_underflow_give_no_nan():
    scores = learned(TRAIN * 1000).score(LOGITS * 1000)
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) > 1


def test_it_learns_from_the_training_images_logits(toys):
    view = View(toys.image_set("near", 10))
    half = ImageSet.of("half", toys.TRAIN.images[:24], toys.TRAIN.labels[:24])
    using = toys.scorer_with(toys.classifier(), train=half)
    first, second = toys.scores("kl_matching", view), toys.scores("kl_matching", view, using=using)
    assert not np.allclose(first, second, rtol=1e-3)
    with torch.no_grad():
        network = toys.double(toys.classifier())
        train, near = (network(toys.inputs(images)).numpy() for images in (toys.TRAIN, view.images))
    np.testing.assert_allclose(first, slow(train, near), rtol=1e-3, atol=1e-6)
