import numpy as np
import pytest
import torch
from sklearn.covariance import EmpiricalCovariance

from ood_bench.data.imageset import ImageSet
from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.methods.mahalanobis import Gaussians

TAPS = ["conv1", "conv2", "fc1", "logits"]


def estimate(features, labels, classes):
    """Class means and precision as the papers' code has them: scikit-learn's estimate on what is left of the means."""
    means = [
        np.mean([f for f, label in zip(features, labels, strict=True) if label == k], axis=0) for k in range(classes)
    ]
    residuals = np.array([f - means[label] for f, label in zip(features, labels, strict=True)])
    return np.array(means), EmpiricalCovariance(assume_centered=False).fit(residuals).precision_


def confidences(feature, means, precision):
    return [-0.5 * (feature - mean) @ precision @ (feature - mean) for mean in means]


def test_several_taps_stand_side_by_side_in_forward_order(toys):
    view = View(toys.image_set("near", 10))
    together = toys.raw_scores("mahalanobis", view, taps=["all"], magnitudes=[0.01, 0.0])
    for column, tap in enumerate(TAPS):
        alone = toys.raw_scores("mahalanobis", view, taps=[tap], magnitudes=[0.01, 0.0])
        np.testing.assert_array_equal(together[:, :, column], alone[:, :, 0])


def test_no_taps_means_the_penultimate_one(toys):
    view = View(toys.image_set("near", 10))
    np.testing.assert_array_equal(
        toys.raw_scores("mahalanobis", view, taps=[]), toys.raw_scores("mahalanobis", view, taps=["fc1"])
    )


def test_score_is_the_sum_over_taps(toys):
    found, using = toys.fitted("mahalanobis", taps=["conv2", "logits"])
    values = found.raw_scores(using, View(toys.image_set("near", 10)), found.grid())[0]
    np.testing.assert_allclose(found.final_scores(values), values[:, 0] + values[:, 1], rtol=1e-12)


@pytest.mark.parametrize("dead", [False, True])
def test_estimate_against_scikit_learn(dead):
    """With ``dead``, one channel never varies, one repeats another, and one fires for a single row."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 200)
    features = random.normal(0, 1, (200, 6)) * [1, 2, 5, 0.1, 3, 1] + 2.0 * labels[:, None]
    if dead:
        rare = np.where(np.arange(200) == 17, 3e-3, 0.0)
        features = np.column_stack([features, np.full(200, 2.0), features[:, 1], rare])
    means, precision = estimate(features, labels, 3)
    rows = random.normal(0, 3, (30, features.shape[1])) * features.std(axis=0)
    expected = [confidences(row, means, precision) for row in rows]
    fitted = Gaussians.fit(features, labels, 3)
    assert fitted.whitening.shape == (features.shape[1], 7 if dead else 6)
    ours = fitted.confidences(torch.from_numpy(rows))
    assert (ours.dtype, ours.shape) == (torch.float64, (30, 3))
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-7)


def test_the_covariance_is_divided_by_n():
    """Worked by hand: means 1 and 10, residuals -1, 1, -2, 2, covariance (1 + 1 + 4 + 4) / 4."""
    fitted = Gaussians.fit(np.array([[0.0], [2.0], [8.0], [12.0]]), np.array([0, 0, 1, 1]), 2)
    ours = fitted.confidences(torch.tensor([[3.0]]))
    np.testing.assert_allclose(ours.numpy(), [[-0.5 * 4 / 2.5, -0.5 * 49 / 2.5]], rtol=1e-12)


def test_means_and_covariance_come_from_the_training_images_and_their_labels(toys):
    view, labels = View(toys.image_set("near", 10)), toys.TRAIN.labels
    expected = toys.raw_scores("mahalanobis", view)
    for train in (
        ImageSet.of("other", toys.TRAIN.images, np.roll(labels, 1) // 2),
        ImageSet.of("other", toys.TRAIN.images[:100], labels[:100]),
    ):
        using = toys.scorer_with(toys.classifier(), train=train)
        assert not np.allclose(toys.raw_scores("mahalanobis", view, using=using), expected, rtol=1e-3)


def test_a_detector_that_is_fitted_again_forgets_the_old_network(toys):
    view = View(toys.image_set("near", 10))
    found, _ = toys.fitted("mahalanobis")
    other = toys.scorer_with(toys.classifier(seed=1))
    found.fit(other, np.random.RandomState(0))
    np.testing.assert_array_equal(
        found.raw_scores(other, view, found.grid()), toys.raw_scores("mahalanobis", view, using=other)
    )


def test_training_images_without_labels_are_refused(toys):
    with pytest.raises(ConfigError, match="method mahalanobis: toy_blend has no labels"):
        toys.fitted("mahalanobis", using=toys.scorer_with(toys.classifier(), train=toys.image_set("blend")))


def test_fitting_for_a_second_ood_set_runs_nothing(toys):
    found, using = toys.fitted("mahalanobis")
    with toys.counting(using.classifier) as counts:
        found.fit(using, np.random.RandomState(1))
    assert counts == {}


@pytest.mark.parametrize(("share", "directions"), [(0.1, 1), (10.0, 2)])
def test_a_direction_counts_from_a_million_rounding_units_of_the_largest_variance_on(share, directions):
    """As in the release of SciPy that the papers' code ran on."""
    small = np.sqrt(share * 1e6 * np.finfo(np.float64).eps)
    features = np.array([[1, 0], [-1, 0], [0, small], [0, -small]])
    assert Gaussians.fit(features, np.zeros(4, np.int64), 1).whitening.shape == (2, directions)


ROWS = np.random.default_rng(0).random((6, 3))


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (ROWS, [0, 2, 0, 2, 0, 2], "no training image of class 1, so that it has no mean"),
        (ROWS, [0, 1, 2, 3, 4, 5], "do not vary within classes.*: use more than one training image a class"),
        (np.full((6, 3), 0.1), [0, 1, 0, 1, 0, 1], "do not vary within classes"),
        (np.full((6, 40), 0.3), [0] * 6, "do not vary within classes"),
    ],
    ids=["class without rows", "one image a class", "constant", "constant, many channels"],
)
def test_a_fit_that_measures_nothing_is_refused(features, labels, message):
    with pytest.raises(ConfigError, match=f"features of tap conv2:? {message}"):
        Gaussians.fit(features, np.array(labels), max(labels) + 1, "features of tap conv2")
