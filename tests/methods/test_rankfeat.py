import numpy as np
import pytest
import torch
from pytorch_ood.detector import RankFeat as Theirs
from scipy.special import logsumexp

from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.methods.rankfeat import RankFeat
from ood_bench.methods.shaping import LOGIT_SCORES
from ood_bench.scoring.maps import RankOneRemovedMean

RANDOM = np.random.default_rng(0)


def test_scores_of_a_network_against_the_formula_and_pytorch_ood(toys):
    found, using = toys.fitted("rankfeat")
    images = toys.image_set("near", 20)
    ours = found.raw_scores(using, View(images), [{}])[0, :, 0]
    network = toys.double(using.classifier)
    with torch.no_grad():
        given = toys.tap_value(network, "block2.1", toys.inputs(images))
        theirs = Theirs(None, lambda maps: network.linear(maps.mean(dim=(2, 3)))).predict_feature_maps(
            given.contiguous()
        )
    expected = []
    for one in given.flatten(2).numpy():
        left, sizes, right = np.linalg.svd(one)
        rest = one - sizes[0] * np.outer(left[:, 0], right[0])
        expected.append(logsumexp(found.weight @ rest.mean(axis=1) + found.bias))
    np.testing.assert_allclose(ours, expected, rtol=1e-5)
    np.testing.assert_allclose(ours, -theirs, rtol=1e-5)


def test_a_map_of_rank_one_gets_the_score_of_the_bias():
    found = RankFeat()
    found.weight, found.bias = RANDOM.normal(size=(3, 6)), RANDOM.normal(size=3)
    rows = RankOneRemovedMean()(torch.rand(5, 6, 1, 1).double() * torch.rand(5, 1, 4, 4).double())
    np.testing.assert_allclose(found.score(rows.numpy()), logsumexp(found.bias), rtol=1e-12)


@pytest.mark.parametrize("base", LOGIT_SCORES)
def test_every_score_of_the_logits_stands_on_top(base, toys):
    found, using = toys.fitted("rankfeat", base=base)
    view, alone = View(toys.image_set("near", 30)), toys.detector(base)
    logits = [found.logits(using.rows(one, found.quantity(using.classifier))) for one in (View(toys.TRAIN), view)]
    if alone.learns:
        alone.learn(logits[0], toys.TRAIN.labels)
    np.testing.assert_allclose(found.raw_scores(using, view, [{}])[0, :, 0], alone.score(logits[1]), rtol=1e-12)


@pytest.mark.parametrize(
    ("tap", "words"),
    [
        ("", "mean over positions of tap conv2 is not what the last layer gets: set method.rankfeat.tap to"),
        ("fc1", "tap fc1 gives no map of several positions: set method.rankfeat.tap to"),
    ],
)
def test_networks_whose_last_map_is_not_averaged_are_refused(tap, words, toys):
    """LeNet's last layer gets a hidden layer."""
    using = toys.scorer_with(toys.classifier())
    with pytest.raises(ConfigError, match=f"method rankfeat: (the )?{words}"):
        toys.fitted("rankfeat", using=using, tap=tap)
