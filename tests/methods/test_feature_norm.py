import math

import numpy as np
import pytest
import torch

from ood_bench.data.jigsaw import jigsaw
from ood_bench.data.views import View

TAPS = ["conv1", "conv2", "fc1", "logits"]


def norm(value):
    """Mean over channels of the norm of the positive part of one image's map."""
    channels = value.reshape(len(value), -1).tolist()
    return sum(math.sqrt(sum(max(v, 0.0) ** 2 for v in channel)) for channel in channels) / len(channels)


def norms(images, tap, toys):
    network = toys.double(toys.classifier())
    with torch.no_grad():
        return [norm(toys.tap_value(network, tap, x[None])[0]) for x in toys.inputs(images)]


@pytest.mark.parametrize("tap", TAPS)
def test_every_tap_against_the_slow_score(tap, toys):
    images = toys.image_set("near", 8)
    np.testing.assert_allclose(toys.scores("feature_norm", View(images), tap=tap), norms(images, tap, toys), rtol=1e-5)


def test_the_block_is_the_one_with_the_largest_mean_of_ratios(toys):
    found, _ = toys.fitted("feature_norm", jigsaw_seed=3)
    pieces = jigsaw(toys.TRAIN, 3)
    ratios = {}
    for tap in TAPS:
        pairs = zip(norms(toys.TRAIN, tap, toys), norms(pieces, tap, toys), strict=True)
        ratios[tap] = np.mean([whole / piece for whole, piece in pairs if piece > 0])
    findings = found.findings()
    assert findings["norm_ratio"] == pytest.approx(ratios, rel=1e-4)
    assert findings["tap"] == max(ratios, key=ratios.get)
    view = View(toys.image_set("near", 8))
    np.testing.assert_array_equal(
        toys.scores("feature_norm", view, jigsaw_seed=3), toys.scores("feature_norm", view, tap=findings["tap"])
    )


def test_a_named_block_is_not_chosen_and_stands_in_tables(toys):
    found, using = toys.fitted("feature_norm", tap="fc1")
    assert (found.variant, found.findings()) == ("block fc1", {"tap": "fc1"})
    assert found.fit_quantities(using.classifier) == ()
    assert toys.detector("feature_norm").variant == ""
