import copy
import math

import numpy as np
import pytest
import torch

from ood_bench.data.views import View
from ood_bench.methods.rotpred import turned


@pytest.fixture(scope="module")
def using(toys):
    """A network with a head for rotations; its dropout is at rest."""
    return toys.scorer(toys.detector("rotpred"))


def slow_score(given, pixels):
    """The score of one image ``[C, H, W]`` from probabilities, as the published code has it, in nats."""
    head, features = given.network.fc2, []
    hook = given.network.relu3.register_forward_hook(lambda *found: features.append(found[2].double()))
    for turn in range(4):
        x = torch.from_numpy(pixels.copy())[None]
        given.network(given.normalise(x).rot90(turn, (2, 3)))
    hook.remove()
    layers = {name: (getattr(head, name).weight.double(), getattr(head, name).bias.double()) for name in TAPS}
    classes = torch.softmax(features[0] @ layers["classes"][0].T + layers["classes"][1], dim=1)[0].tolist()
    sure = sum(math.log(1 / len(classes) / p) / len(classes) for p in classes)
    for turn in range(4):
        weight, bias = layers["rotation"]
        sure += math.log(torch.softmax(features[turn] @ weight.T + bias, dim=1)[0, turn].item()) / 4
    return sure


TAPS = ("classes", "rotation")


def test_the_score_is_the_formula_image_by_image(toys, using):
    images = toys.image_set("near", 9)
    with torch.no_grad():
        expected = [slow_score(using.classifier, pixels) for pixels in images.images]
    np.testing.assert_allclose(toys.scores("rotpred", View(images), using=using), expected, rtol=0, atol=1e-5)


def test_a_layer_that_guesses_rotations_adds_the_same_to_every_image(toys, using):
    """Every rotation is then as likely as the others: the mean of the logarithms is log 1/4."""
    network = copy.deepcopy(using.classifier.network)
    network.fc2.rotation.weight.zero_()
    network.fc2.rotation.bias.zero_()
    given, images = toys.classifier_of(network), toys.image_set("near", 9)
    logits = given.network(given.normalise(torch.from_numpy(images.images.copy()))).double()
    expected = -logits.log_softmax(dim=1).mean(dim=1).numpy() - math.log(4) - math.log(4)
    found = toys.scores("rotpred", View(images), using=toys.scorer_with(given))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_turned_images_are_torchs_turns_of_the_pixels_under_a_name_of_their_own(toys):
    images = toys.image_set("id", 5)
    sets = [turned(images, turn) for turn in range(4)]
    for turn, found in enumerate(sets):
        expected = torch.from_numpy(images.images).rot90(turn, (2, 3)).numpy()
        np.testing.assert_array_equal(found.images, expected)
        assert np.shares_memory(found.images, images.images)
    assert len({found.fingerprint[:16] for found in sets}) == 4
    assert sets[0] is images


def test_rows_of_a_view_are_scored_as_in_the_whole_set(toys, using):
    images = toys.image_set("near", 12)
    rows = np.array([7, 2, 5])
    whole = toys.scores("rotpred", View(images), using=using)
    np.testing.assert_array_equal(toys.scores("rotpred", View(images, rows), using=using), whole[rows])
