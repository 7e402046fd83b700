"""Methods of one function each on the bases for post-hoc scores, against slow references."""

import copy
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.methods.posthoc import FeaturesDetector, HeadDetector, LogitsDetector
from ood_bench.scoring.quantities import LOGITS


@dataclass
class MaxLogit(LogitsDetector):
    def score(self, logits):
        return logits.max(axis=1)


@dataclass
class Nearest(FeaturesDetector):
    """Minus the distance to the k-th nearest training image of any class but ``without``."""

    k: int = 1
    without: int = -1

    def learn(self, features, labels):
        self.known = features[labels != self.without]

    def score(self, features):
        return -np.sort(np.linalg.norm(features[:, None] - self.known, axis=2), axis=1)[:, self.k - 1]


@dataclass
class Length(FeaturesDetector):
    def score(self, features):
        return np.linalg.norm(features, axis=1)


@dataclass
class Clipped(HeadDetector):
    """Energy of the logits after features above a percentile of the training images' were brought down to it."""

    percentile: float = 90.0

    def learn(self, features, labels):
        self.limit = np.percentile(features, self.percentile)

    def score(self, features):
        return logsumexp(self.logits(np.minimum(features, self.limit)), axis=1)


def scored(found, view, using):
    found.fit(using, np.random.RandomState(0))
    return found.scores(using, view, {})


def features_of(images, toys):
    """Float64 features, and the logits that the network makes of them."""
    network, x = toys.double(toys.classifier()), toys.inputs(images)
    with torch.no_grad():
        return toys.tap_value(network, "fc1", x).numpy(), network(x).numpy()


def test_a_score_of_the_logits(toys):
    images = toys.image_set("near", 9)
    using = toys.scorer_with(toys.classifier())
    np.testing.assert_allclose(
        scored(MaxLogit(), View(images), using), features_of(images, toys)[1].max(axis=1), rtol=1e-5
    )
    assert MaxLogit().quantities(using.classifier) == (LOGITS,)


def test_the_score_is_the_same_at_every_setting(toys):
    view, using = View(toys.image_set("near", 9)), toys.scorer_with(toys.classifier())
    found = MaxLogit().raw_scores(using, view, [{}, {}, {}])
    assert found.shape == (3, 9, 1)
    np.testing.assert_array_equal(found, found[::-1])


@pytest.mark.parametrize("changes", [{}, {"k": 4}, {"without": 2}])
def test_a_score_of_the_features_learns_from_training_images_and_labels(changes, toys):
    images, found = toys.image_set("near", 9), Nearest(**changes)
    known = features_of(toys.TRAIN, toys)[0][toys.TRAIN.labels != found.without]
    distances = [sorted(np.linalg.norm(known - row, axis=1)) for row in features_of(images, toys)[0]]
    expected = [-row[found.k - 1] for row in distances]
    ours = scored(found, View(images), toys.scorer_with(toys.classifier()))
    np.testing.assert_allclose(ours, expected, rtol=1e-4)


def test_it_learns_once_for_a_network_and_its_images(toys):
    class Counting(Nearest):
        calls = 0

        def learn(self, features, labels):
            self.calls += 1
            super().learn(features, labels)

    found, view, calls = Counting(), View(toys.image_set("near", 3)), []
    for using in [toys.scorer_with(toys.classifier(seed=seed)) for seed in (0, 0, 1)]:
        scored(found, view, using)
        calls.append(found.calls)
    assert calls == [1, 1, 2]


def test_id_test_images_are_scored_once_for_all_ood_sets(toys):
    class Counting(MaxLogit):
        sizes = ()

        def score(self, logits):
            self.sizes += (len(logits),)
            return super().score(logits)

    found, test = Counting(), toys.image_set("near", 7)
    one, two = (replace(toys.scorer_with(toys.classifier(seed=seed)), test=test) for seed in (0, 1))
    views = [View(test), View(toys.image_set("static", 4)), View(test), View(toys.image_set("static", 5)), View(test)]
    scores = [found.scores(using, view, {}) for using, view in zip([one] * 4 + [two], views, strict=True)]
    assert found.sizes == (7, 4, 5, 7)  # another network's are others
    np.testing.assert_array_equal(scores[0], scores[2])
    assert not np.array_equal(scores[0], scores[4])
    some = found.scores(two, View(test, np.array([3, 1])), {})
    np.testing.assert_array_equal(some, scores[4][[3, 1]])
    assert found.sizes[4:] == (2,)


def test_training_images_are_read_only_by_methods_that_learn(toys):
    using = toys.scorer_with(toys.classifier())
    with toys.counting(using.classifier) as counts:
        scored(Length(), View(toys.image_set("near", 5)), using)
    assert counts[""] == 5
    assert Length().fit_quantities(using.classifier) == ()
    assert Nearest().fit_quantities(using.classifier) == Nearest().quantities(using.classifier)


def test_training_images_without_labels_are_refused(toys):
    using = toys.scorer_with(toys.classifier(), train=replace(toys.TRAIN, labels=None))
    with pytest.raises(ConfigError, match="Nearest learns from labels, and toy_id has none"):
        Nearest().fit(using, np.random.RandomState(0))


@pytest.mark.parametrize("percentile", [60.0, 100.0])
def test_a_method_that_changes_the_features_scores_the_new_logits(percentile, toys):
    images, last = toys.image_set("near", 9), toys.classifier().network.fc2
    limit = np.percentile(features_of(toys.TRAIN, toys)[0], percentile)
    clipped = torch.from_numpy(features_of(images, toys)[0].clip(max=limit))
    expected = torch.logsumexp(clipped @ last.weight.double().T + last.bias.double(), dim=1)
    ours = scored(Clipped(percentile=percentile), View(images), toys.scorer_with(toys.classifier()))
    np.testing.assert_allclose(ours, expected, rtol=1e-4)


def test_the_last_layer_makes_the_networks_own_logits(toys):
    images, found = toys.image_set("near", 9), Clipped()
    features, logits = features_of(images, toys)
    found.fit(toys.scorer_with(toys.classifier()), np.random.RandomState(0))
    np.testing.assert_allclose(found.logits(features), logits, rtol=1e-5, atol=1e-6)


def test_other_heads_are_refused_before_training(toys):
    networks = toys.networks()
    other = replace(networks, base=replace(networks.base, model={**networks.base.model, "head": "godin_cosine"}))
    assert Clipped().networks(networks) == [networks.base]
    with pytest.raises(ConfigError, match=r"Clipped needs model\.head=linear, not godin_cosine"):
        Clipped().networks(other)


def test_a_last_layer_that_gets_other_features_is_refused(toys):
    using = toys.scorer_with(toys.classifier())
    other = copy.copy(using.classifier.network)
    other.penultimate = "conv2"
    using = replace(using, classifiers=[replace(using.classifier, network=other)])
    with pytest.raises(ConfigError, match=r"does not get the pooled features of tap 'conv2': W f \+ b are not"):
        Clipped().fit(using, np.random.RandomState(0))
