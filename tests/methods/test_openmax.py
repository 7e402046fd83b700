import numpy as np
import pytest
import torch
from last_layer import learner
from pytorch_ood.detector import OpenMax as Theirs
from scipy.spatial import distance as scipy_distance
from scipy.stats import weibull_min

from ood_bench.errors import ConfigError
from ood_bench.methods.openmax import OpenMax, Tail

RANDOM = np.random.default_rng(0)
LABELS = np.arange(200) % 4
TRAIN = RANDOM.normal(size=(200, 4)) + 5 * np.eye(4)[LABELS]
TRAIN[:8] = np.roll(TRAIN[:8], 1, axis=1)  # some that are classified wrongly
ROWS = RANDOM.normal(size=(40, 4)) * 3
DISTANCES = RANDOM.gamma(3, size=20)
learned = learner(OpenMax, TRAIN, labels=LABELS)


def slow(row, tail, alpha, far, shift):
    """Minus the probability of "unknown", from the fits but else image by image."""
    revised, unknown = list(row), 0.0
    for rank, label in enumerate(sorted(range(4), key=lambda one: -row[one])[:alpha]):
        rows = [z for z, y in zip(TRAIN, LABELS, strict=True) if y == label and z.argmax() == y]
        mean = np.mean(rows, axis=0)
        largest = sorted(far(z, mean) for z in rows)[-tail:]
        start, log_scale, shape = Tail.fit(np.array(largest), shift)
        w = weibull_min.cdf(far(row, mean) - start + shift, shape, scale=np.exp(log_scale))
        revised[label] = row[label] * (1 - w * (alpha - rank) / alpha)
        unknown += row[label] - revised[label]
    return -np.exp(unknown) / (np.exp(unknown) + sum(np.exp(revised)))


@pytest.mark.parametrize("shift", [1.0, 10_000.0])
@pytest.mark.parametrize(("tail", "alpha"), [(20, 3), (10, 4), (30, 1)])
@pytest.mark.parametrize(
    ("distance", "far"),
    [
        ("euclidean", scipy_distance.euclidean),
        ("eucos", lambda a, b: scipy_distance.euclidean(a, b) / 200 + scipy_distance.cosine(a, b)),
    ],
)
def test_score_against_the_formula(tail, alpha, distance, far, shift):
    found = learned(tail=tail, alpha=alpha, distance=distance, shift=shift).score(ROWS)
    expected = [slow(row, tail, alpha, far, shift) for row in ROWS]
    np.testing.assert_allclose(-1 / (1 + np.exp(found)), expected, rtol=1e-6)


def test_no_other_weibull_distribution_is_likelier_than_the_fitted_one():
    start, log_scale, shape = Tail.fit(DISTANCES, 10_000)
    values = DISTANCES - start + 10_000
    likelihood = weibull_min.logpdf(values, shape, scale=np.exp(log_scale)).sum()
    for other in (0.999 * shape, 1.001 * shape):  # at the best scale for that shape
        scale = np.exp(np.log(np.mean((values / 1e4) ** other)) / other) * 1e4
        assert weibull_min.logpdf(values, other, scale=scale).sum() < likelihood
    c, _, scale = weibull_min.fit(values, shape, floc=0, scale=np.exp(log_scale))
    assert weibull_min.logpdf(values, c, scale=scale).sum() <= likelihood + 1e-9
    assert (c, scale) == (pytest.approx(shape, rel=1e-4), pytest.approx(np.exp(log_scale), rel=1e-6))


def test_far_from_all_means_the_whole_of_the_largest_logit_goes_to_unknown():
    """With alpha 1 and w = 1 the largest logit becomes 0, and "unknown" gets it."""
    row = np.array([[90.0, 1.0, 2.0, 3.0]])
    np.testing.assert_allclose(learned(alpha=1).score(row), np.log(1 + np.exp(1) + np.exp(2) + np.exp(3)) - 90)


def test_far_below_every_tail_nothing_is_taken_away():
    """With w = 0, p_u is 1 / (1 + sum_k exp z_k). Training images lie about 30 away from their means."""
    directions = np.repeat(np.vstack([np.eye(4), -np.eye(4)]), 4, axis=0)  # 8 images of each class in each direction
    labels = np.tile(np.arange(4), 8)
    train = 100 * np.eye(4)[labels] + directions * (30 + np.arange(32) // 4 % 4 / 100)[:, None]
    means = np.stack([train[labels == label].mean(axis=0) for label in range(4)])
    found = learned(train, labels=labels, tail=4, alpha=1)
    np.testing.assert_allclose(found.score(means / 1.1), np.log(np.exp(means / 1.1).sum(axis=1)), rtol=1e-9)


def test_pytorch_ood_agrees_on_images_that_are_classified_rightly():
    """As far as its optimiser finds the fit, and where every class is predicted for some image."""
    right = TRAIN.argmax(axis=1) == LABELS
    theirs = Theirs(None, tailsize=20, alpha=3)
    theirs.fit_logits(torch.from_numpy(TRAIN[right]), torch.from_numpy(LABELS[right]))
    unknown = theirs.predict_logits(torch.from_numpy(ROWS)).numpy()
    assert set(ROWS.argmax(axis=1)) == set(range(4))
    np.testing.assert_allclose(1 / (1 + np.exp(learned(shift=10_000.0).score(ROWS))), unknown, rtol=0.02)


def test_pytorch_oods_definition_counts_wrongly_classified_images_too():
    theirs = Theirs(None, tailsize=25, alpha=4).fit_logits(torch.from_numpy(TRAIN), torch.from_numpy(LABELS))
    unknown = theirs.predict_logits(torch.from_numpy(ROWS)).numpy()
    settings = {"tail": 25, "alpha": 4, "shift": 10_000.0}
    found = learned(definition="pytorch_ood", **settings)
    np.testing.assert_allclose(1 / (1 + np.exp(found.score(ROWS))), unknown, rtol=0.02)
    assert not np.allclose(1 / (1 + np.exp(learned(**settings).score(ROWS))), unknown, rtol=0.2)
    assert found.variant == "as pytorch_ood"


@pytest.mark.parametrize(
    ("given", "changes", "message"),
    [
        ({}, {"alpha": 5}, "alpha is 5, and there are 4 classes: set method.openmax.alpha to at most 4"),
        ({}, {"tail": 49}, "tail is 49, and 48 .* of class 0 .*: set method.openmax.tail to at most 48, or train"),
        (
            {"labels": (TRAIN.argmax(axis=1) + 1) % 4},
            {},
            "tail is 20, and 0 training images of class 0 are .*: train for longer",
        ),
        ({}, {"tail": 51, "definition": "pytorch_ood"}, "tail is 51, and 50 training images of class 0 are there: set"),
        ({"train": 5 * np.eye(4)[LABELS]}, {}, "training images of class 0 lie equally far"),
    ],
)
def test_what_cannot_be_fitted_is_refused(given, changes, message):
    with pytest.raises(ConfigError, match=f"method openmax: {message}"):
        learned(**given, **changes)
