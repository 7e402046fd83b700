import numpy as np
import pytest
import torch
from torch import nn

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Networks
from ood_bench.methods.selected_norm import SelectedNorm
from ood_bench.models.vgg import VGG11
from ood_bench.scoring.engine import View
from ood_bench.scoring.taps import forward_to_all


def slow(classifier, features, norms, head, statistic):
    found = []
    for row, norm in zip(features, norms, strict=True):
        length = float(row.norm())
        logits = head((row * (norm / length) if length else row)[None])[0].double()
        found.append(float(torch.logsumexp(logits, 0) if statistic == "energy" else logits.softmax(0).max().log()))
    return found


@pytest.mark.parametrize("statistic", ["msp", "energy"])
def test_against_one_image_at_a_time(statistic, toys):
    images = toys.image_set("near", 9)
    classifier = toys.classifier()
    norms = toys.scores("feature_norm", View(images), tap="conv2")
    with torch.no_grad():
        inputs = classifier.normalise(torch.from_numpy(images.images))
        features = forward_to_all(classifier, inputs, [classifier.penultimate])[classifier.penultimate]
        head = [module for module in classifier.network.modules() if isinstance(module, nn.Linear)][-1]
        expected = slow(classifier, features, norms, head, statistic)
    found = toys.scores(f"selected_norm_{statistic}", View(images), tap="conv2")
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_all_that_follows_the_pooling_is_the_head(toys):
    """VGG11 has hidden layers after it; scaling the pooled features by their own length gives its own logits."""
    torch.manual_seed(0)
    classifier = toys.classifier_of(VGG11((3, 32, 32), 4, 0.5))
    images = toys.ImageSet.of("pictures", np.random.default_rng(0).integers(0, 256, (5, 3, 32, 32), dtype=np.uint8))
    view, using = View(images), toys.scorer_with(classifier)
    found = SelectedNorm(tap="conv6", statistic="energy").raw_scores(using, view, [{}])[0, :, 0]
    with torch.no_grad():
        network, inputs = classifier.network, classifier.normalise(torch.from_numpy(images.images))
        pooled = network.pool(network.features(inputs))
        maps = network.features[:15](inputs)
        norms = maps.clamp_min(0).flatten(2).norm(dim=2).mean(dim=1)
        expected = slow(classifier, pooled, norms.tolist(), network.classifier, "energy")
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_features_without_a_length_stay(toys):
    from ood_bench.methods.selected_norm import _rescaled_logits  # noqa: PLC0415 - what happens there cannot be trained

    classifier = toys.classifier()
    head = [module for module in classifier.network.modules() if isinstance(module, nn.Linear)][-1]
    found = _rescaled_logits(classifier, np.zeros((2, head.in_features), np.float32), np.ones((2, 1), np.float32))
    np.testing.assert_allclose(found, np.tile(head.bias.detach().numpy(), (2, 1)), rtol=1e-6)


def test_other_heads_are_refused_before_training(toys):
    spec = toys.base_spec()
    changed = Networks(type(spec)(**{**vars(spec), "model": {**spec.model, "head": "godin_cosine"}}))
    with pytest.raises(ConfigError, match=r"needs model\.head=linear, not godin_cosine"):
        SelectedNorm().networks(changed)


def test_it_finds_the_block_as_feature_norm_does(toys):
    found, _ = toys.fitted("selected_norm_energy")
    plain, _ = toys.fitted("feature_norm")
    assert found.findings() == plain.findings()
