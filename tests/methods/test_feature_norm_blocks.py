import numpy as np

from ood_bench.data.views import View

TAPS = ["conv1", "conv2", "fc1", "logits"]


def test_every_block_has_a_detector_of_its_own(toys):
    found = toys.detector("feature_norm_blocks", jigsaw_seed=3).variants(toys.networks())
    assert [one.variant for one in found] == [one.tap for one in found] == TAPS
    assert {one.jigsaw_seed for one in found} == {3}
    (alone,) = toys.detector("feature_norm_blocks", tap="fc1").variants(toys.networks())
    assert alone.variant == "fc1"


def test_a_block_scores_as_feature_norm_with_that_tap(toys):
    view, tap = View(toys.image_set("near", 8)), "conv2"
    np.testing.assert_array_equal(
        toys.scores("feature_norm_blocks", view, tap=tap), toys.scores("feature_norm", view, tap=tap)
    )


def test_each_records_its_own_norm_ratio(toys):
    whole, _ = toys.fitted("feature_norm", jigsaw_seed=3)
    ratios = {}
    for tap in TAPS:
        one, _ = toys.fitted("feature_norm_blocks", tap=tap, jigsaw_seed=3)
        assert one.findings()["tap"] == tap
        ratios |= one.findings()["norm_ratio"]
    assert ratios == whole.findings()["norm_ratio"]


def test_outside_a_run_every_is_the_block_that_norm_ratio_chooses(toys):
    whole, _ = toys.fitted("feature_norm")
    found, _ = toys.fitted("feature_norm_blocks")
    assert (found.findings()["tap"], found.variant) == (whole.findings()["tap"], "")
