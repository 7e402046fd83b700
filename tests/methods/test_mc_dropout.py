import copy
import math

import numpy as np
import pytest
import torch
from pytorch_ood.detector import MCD
from torch import nn

from ood_bench.data.imageset import ImageSet
from ood_bench.data.views import View
from ood_bench.errors import ConfigError


def softmax(row):
    odds = [math.exp(value) for value in row]
    return [value / sum(odds) for value in odds]


def slow(classifier, images, *, passes, seed, batch_size, train_mode, toys):
    """Mean softmax's maximum and the winning logit's variance, image by image, from passes in the same order."""
    network = copy.deepcopy(classifier.network)
    network.train(train_mode)
    network.dropout.train()
    confidences, variances = [], []
    x = toys.inputs(images).float()
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for start in range(0, len(x), batch_size):
            runs = [network(x[start : start + batch_size]).double().tolist() for _ in range(passes)]
            for image in range(len(runs[0])):
                rows = [run[image] for run in runs]
                classes = range(len(rows[0]))
                confidences.append(max(sum(softmax(row)[k] for row in rows) / passes for k in classes))
                means = [sum(row[k] for row in rows) / passes for k in classes]
                winner = means.index(max(means))
                variances.append(sum((row[winner] - means[winner]) ** 2 for row in rows) / passes)
    return np.array(confidences), np.array(variances)


@pytest.mark.parametrize("mode", ["dropout_only", "train_mode"])
def test_both_statistics_against_the_slow_score(mode, toys):
    images, classifier = toys.image_set("near", 13), toys.norm_classifier()
    settings = {"passes": 5, "seed": 3, "batch_size": 6}
    confidences, variances = slow(classifier, images, **settings, train_mode=mode == "train_mode", toys=toys)
    for statistic, expected in (("mean_softmax", confidences), ("logit_variance", -variances)):
        using = toys.scorer_with(classifier)
        ours = toys.raw_scores("mc_dropout", View(images), using=using, mode=mode, statistic=statistic, **settings)
        np.testing.assert_allclose(ours[0, :, 0], expected, rtol=1e-6)


def test_pytorch_ood_agrees(toys):
    """Its mean mode draws as we do, once the generator is in the same state."""
    images, classifier = toys.image_set("near", 20), toys.norm_classifier()
    ours = toys.scores("mc_dropout", View(images), using=toys.scorer_with(classifier), passes=7, seed=11)
    with torch.random.fork_rng():
        torch.manual_seed(11)
        theirs = MCD(classifier.network, samples=7, mode="mean").predict(toys.inputs(images).float())
    np.testing.assert_allclose(ours, -theirs.numpy(), rtol=1e-5)


class Coin(nn.Module):
    """Two logits: one that dropout kills in four passes of five and else makes 20, and the first pixel."""

    taps = {"logits": "dropout"}  # noqa: RUF012 - read only

    def __init__(self):
        super().__init__()
        self.four = nn.Parameter(torch.tensor(4.0))
        self.dropout = nn.Dropout(0.8)

    def forward(self, x):
        return torch.stack([self.dropout(self.four.expand(len(x))), x[:, 0, 0, 0]], dim=1)


def test_the_variance_is_that_of_the_class_with_the_largest_mean_logit(toys):
    """The noisy logit is 4 on average, of variance 0.2 * 0.8 * 400.

    A steady logit of 6 wins and has none. A steady logit of 2 loses by the mean logit, though it wins by the mean
    softmax, where the noisy class reaches 0.2 + 0.8 / (1 + exp(2)), about 0.3.
    """
    pixels = np.array([6, 2], dtype=np.uint8).reshape(2, 1, 1, 1)
    using = toys.scorer_with(toys.classifier_of(Coin(), mean=(0.0,), std=(1 / 255,)))
    view = View(ImageSet.of("coin", pixels))
    steady, noisy = toys.scores("mc_dropout", view, using=using, statistic="logit_variance", passes=400)
    assert steady == pytest.approx(0, abs=1e-9)
    assert noisy == pytest.approx(-64, abs=8)
    _, confidence = toys.scores("mc_dropout", view, using=using, statistic="mean_softmax", passes=400)
    assert confidence == pytest.approx(0.8 - 0.8 / (1 + math.exp(2)), abs=0.05)


def test_images_that_dropout_cannot_disturb_count_as_most_in_distribution(toys):
    """A network without biases maps a zero input to zero, whatever is dropped."""
    torch.manual_seed(0)
    classifier = toys.norm_classifier()
    network = classifier.network
    network.norm.running_mean.zero_()
    network.conv.bias.zero_()
    grey = np.tile((np.array([0.5, 0.4, 0.6]) * 255).round().astype(np.uint8).reshape(1, 3, 1, 1), (4, 1, 8, 8))
    using = toys.scorer_with(classifier)
    still, moving = (
        toys.scores("mc_dropout", View(images), using=using, statistic="logit_variance")
        for images in (ImageSet.of("grey", grey), toys.image_set("near", 4))
    )
    assert still.min() > moving.max()
    assert moving.max() < 0


@pytest.mark.parametrize("statistic", ["mean_softmax", "logit_variance"])
def test_passes_differ_only_by_dropout(statistic, toys):
    images, classifier = toys.image_set("near", 9), toys.norm_classifier(rate=0.0)
    ours = toys.raw_scores("mc_dropout", View(images), using=toys.scorer_with(classifier), statistic=statistic)[0, :, 0]
    clean = np.exp(toys.scores("msp", View(images), using=toys.scorer_with(classifier)))
    expected = clean if statistic == "mean_softmax" else np.zeros(9)
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-12)


def test_the_dropout_variant_of_the_model_is_trained_with_the_runs_recipe(toys):
    networks = toys.networks(seed=2)
    (spec,) = toys.detector("mc_dropout").networks(networks)
    assert spec.model == toys.content("model", "lenet")["variants"]["mc_dropout"]
    assert (spec.recipe, spec.seed, spec.data) == (networks.base.recipe, 2, networks.base.data)
    assert spec.key != networks.base.key


def test_a_model_without_the_variant_is_refused(toys):
    networks = type(toys.networks())(toys.base_spec())
    with pytest.raises(ConfigError, match=r"model lenet has no variants\.mc_dropout in conf/model/lenet\.yaml"):
        toys.detector("mc_dropout").networks(networks)


def test_a_network_without_dropout_is_refused(toys):
    classifier = toys.norm_classifier()
    classifier.network.dropout = nn.Identity()
    with pytest.raises(ConfigError, match="method mc_dropout: the network has no dropout layer"):
        toys.scores("mc_dropout", View(toys.image_set("near", 4)), using=toys.scorer_with(classifier))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"statistic": "logit_variance"}, "logit variance"),
        ({"mode": "train_mode"}, "train mode"),
        ({"statistic": "logit_variance", "mode": "train_mode"}, "logit variance, train mode"),
    ],
)
def test_flavours_are_told_apart_in_tables(changes, words, toys):
    assert toys.detector("mc_dropout", **changes).variant == words


def test_both_statistics_share_the_passes(toys, tmp_path):
    images = toys.image_set("near", 20)
    using = toys.scorer_with(toys.norm_classifier(), root=tmp_path)
    toys.scores("mc_dropout", View(images), using=using, passes=3)
    found = toys.detector("mc_dropout", passes=3, statistic="logit_variance")
    with torch.random.fork_rng():
        torch.manual_seed(123)  # whatever the state of the global generator
        first = found.raw_scores(using, View(images), [{}])
    fresh = toys.scorer_with(toys.norm_classifier())
    np.testing.assert_array_equal(first, found.raw_scores(fresh, View(images), [{}]))
    assert len(list(tmp_path.rglob("*.npy"))) == 1
