import math

import numpy as np
import pytest
import torch

from ood_bench.data.views import View


def slow(members, x, combine):
    """Score of one normalised image, from each member's logits."""
    probabilities = []
    for network in members:
        with torch.no_grad():
            odds = [math.exp(value) for value in network(x[None])[0].tolist()]
        probabilities.append([value / sum(odds) for value in odds])
    if combine == "mean_of_max":
        return sum(max(row) for row in probabilities) / len(members)
    return max(sum(row[label] for row in probabilities) / len(members) for label in range(len(probabilities[0])))


@pytest.mark.parametrize("combine", ["max_of_mean", "mean_of_max"])
@pytest.mark.parametrize("kind", ["near", "static"])
def test_both_combinations_against_the_slow_score(combine, kind, toys):
    images = toys.image_set(kind, 25)
    members = [toys.double(toys.classifier(seed=seed)) for seed in range(3)]
    expected = [slow(members, x, combine) for x in toys.inputs(images)]
    ours = toys.scores("deep_ensemble", View(images), members=3, combine=combine)
    np.testing.assert_allclose(ours, expected, rtol=1e-6)  # float32 networks against float64 ones


def test_an_ensemble_of_one_is_msp(toys):
    view = View(toys.image_set("near", 20))
    expected = np.exp(toys.scores("msp", view))
    for combine in ("max_of_mean", "mean_of_max"):
        ours = toys.scores("deep_ensemble", view, members=1, combine=combine)
        np.testing.assert_allclose(ours, expected, rtol=1e-12)


def test_member_i_is_the_plain_classifier_of_seed_s_plus_i(toys):
    networks = toys.networks(seed=7)
    members = toys.detector("deep_ensemble", members=4).networks(networks)
    assert [member.seed for member in members] == [7, 8, 9, 10]
    assert members[0].key == networks.base.key
    assert members[3].key == toys.base_spec(10).key
    assert len({member.key for member in members}) == 4


def test_the_number_of_members_stands_in_the_deviations(toys):
    (sentence,) = toys.detector("deep_ensemble", members=3).deviations()
    assert "less than 3 seeds apart" in sentence
