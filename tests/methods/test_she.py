import numpy as np
import pytest
import torch
from last_layer import learner
from pytorch_ood.detector import SHE

from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.methods.she import She

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(3, 8)), RANDOM.normal(size=3)
TRAIN, ROWS = RANDOM.normal(size=(200, 8)) + 0.1, RANDOM.normal(size=(40, 8))
PREDICTED = (TRAIN @ WEIGHT.T + BIAS).argmax(axis=1)
LABELS = np.where(np.arange(200) % 4 == 0, (PREDICTED + 1) % 3, PREDICTED)  # a quarter is classified wrongly
learned = learner(She, TRAIN, WEIGHT, BIAS, labels=LABELS)


def slow(metric):
    """The formula, image by image."""

    def predicted(row):
        return max(range(3), key=lambda label: sum(WEIGHT[label] * row) + BIAS[label])

    right = [(row, label) for row, label in zip(TRAIN, LABELS, strict=True) if predicted(row) == label]
    patterns = [np.mean([row for row, one in right if one == label], axis=0) for label in range(3)]
    likeness = {
        "inner_product": lambda a, b: sum(a * b),
        "euclidean": lambda a, b: -(sum((a - b) ** 2) ** 0.5),
        "cosine": lambda a, b: sum(a * b) / (sum(a * a) * sum(b * b)) ** 0.5,
    }[metric]
    return [likeness(row, patterns[predicted(row)]) for row in ROWS]


@pytest.mark.parametrize("metric", ["inner_product", "euclidean", "cosine"])
def test_score_against_the_formula(metric):
    np.testing.assert_allclose(learned(metric=metric).score(ROWS), slow(metric), rtol=1e-9)


def test_pytorch_ood_agrees():
    def head(features):
        return features @ torch.from_numpy(WEIGHT).T + torch.from_numpy(BIAS)

    theirs = SHE(None, head).fit_features(torch.from_numpy(TRAIN), torch.from_numpy(LABELS))
    np.testing.assert_allclose(learned().score(ROWS), -theirs.predict_features(torch.from_numpy(ROWS)), rtol=1e-10)


def test_wrongly_classified_training_images_do_not_count():
    right = PREDICTED == LABELS
    assert not right.all()
    np.testing.assert_array_equal(learned().score(ROWS), learned(train=TRAIN[right], labels=LABELS[right]).score(ROWS))


def test_the_score_scales_with_the_features_while_the_predicted_class_stays():
    found = learned(bias=0 * BIAS, labels=(TRAIN @ WEIGHT.T).argmax(axis=1))
    np.testing.assert_allclose(found.score(5 * ROWS), 5 * found.score(ROWS), rtol=1e-12)


def test_the_cosine_of_features_of_norm_0_is_0():
    np.testing.assert_array_equal(learned(metric="cosine").score(np.zeros((1, 8))), [0])


def test_a_class_that_is_never_classified_rightly_is_refused():
    with pytest.raises(
        ConfigError, match=r"method she: no training image of class 2 is classified rightly.*: train for"
    ):
        learned(labels=np.where(LABELS == 2, 1, LABELS))


def test_cosines_are_higher_for_in_distribution_images(toys):
    """Inner products are not on the toys, where the features of one class are short."""
    inside, outside = (toys.scores("she", View(toys.image_set(name, 40)), metric="cosine") for name in ("id", "blend"))
    assert (inside[:, None] > outside).mean() > 0.9
