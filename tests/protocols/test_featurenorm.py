import numpy as np
import pytest

from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.metrics import evaluate
from ood_bench.protocols.base import build_protocol


@pytest.fixture
def shipped(toys):
    return build_protocol(toys.content("protocol", "featurenorm"), "published")


@pytest.mark.parametrize("method", ["msp", "energy", "feature_norm"])
def test_every_image_of_both_sets_is_scored_once(method, shipped, toys):
    inside, outside = toys.image_set("id", 12), toys.image_set("blend", 31)
    found, using = toys.fitted(method)
    outcome = shipped.run(method, found, using, inside, outside)
    np.testing.assert_array_equal(outcome.id_scores, toys.scores(method, View(inside)))
    np.testing.assert_array_equal(outcome.ood_scores, toys.scores(method, View(outside)))
    assert (outcome.rows, outcome.tuned_on) == ("all test rows of both sets", "nothing")
    if method != "msp":
        assert outcome.convention_scores is None
        return
    for ours, images in zip(outcome.convention_scores, (inside, outside), strict=True):
        np.testing.assert_array_equal(ours, found.paper_scores(using, View(images), [{}])[0, :, 0])


def test_its_metrics_take_the_nearest_recall(shipped):
    """Of 11 ID images, 10 are nearer to 95 % than all are; the exact metric wants 95 % at least."""
    ids, oods = np.arange(11.0), np.array([0.0])
    assert evaluate(shipped.convention, ids, oods)["fpr95"] == 0.0
    assert evaluate("exact", ids, oods)["fpr95"] == 100.0


def test_several_candidates_are_refused(shipped, toys):
    with pytest.raises(ConfigError, match="method odin has 2 candidate settings, and protocol=featurenorm tunes"):
        shipped.check("odin", toys.detector("odin", magnitudes=[0.1, 0.0]))
