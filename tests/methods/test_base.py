from dataclasses import dataclass, field

import numpy as np
import pytest

from ood_bench.checkpoints.__main__ import node_named
from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector, build_detector
from ood_bench.scoring.quantities import LOGITS, Mean, Quantity

METHODS = "ood_bench.methods"


@dataclass
class Pair(Detector):
    """Two raw scores and no rule to combine them."""

    steps: list[float] = field(default_factory=lambda: [1.0])

    def raw_scores(self, scorer, view, settings):
        return np.zeros((len(settings), len(view), 2))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"_target_": f"{METHODS}.msp.Nothing"}, r"cannot find the class ood_bench\.methods\.msp\.Nothing"),
        ({"_target_": "builtins.dict"}, r"builtins\.dict is not a subclass of"),
    ],
)
def test_classes_that_are_no_detectors(config, message):
    with pytest.raises(ConfigError, match=f"method new: {message}"):
        build_detector("new", config)


def test_all_faults_are_named_at_once():
    config = {"_target_": f"{METHODS}.odin.Odin", "magnitudes": 0.1, "temperatures": ["hot"]}
    with pytest.raises(ConfigError) as caught:
        build_detector("odin", config)
    for word in ("magnitudes:", "temperatures.0:", "'hot'"):
        assert word in str(caught.value)


def test_integers_stand_for_floats_and_outliers_are_not_a_hyperparameter():
    found = build_detector(
        "odin", {"_target_": f"{METHODS}.odin.Odin", "temperatures": [10], "outliers": {"name": "x"}}
    )
    assert found.hyperparameters() == {"magnitudes": [0.0014], "temperatures": [10.0]}


def test_several_statistics_need_a_rule():
    with pytest.raises(ValueError, match="Pair must say how it combines 2 raw scores"):
        Pair().final_scores(np.zeros((3, 2)))


def test_a_bank_holds_the_views_rows_in_the_views_order(toys):
    images, scorer = toys.image_set("id", 12), toys.scorer_with(toys.classifier(), toys.classifier(seed=1))
    rows = np.array([7, 0, 7, 11])
    wanted = (LOGITS, Quantity("fc1", Mean()))
    whole = scorer.engine.collect(scorer.classifiers[1], images, wanted)
    some = scorer.bank(View(images, rows), wanted, network=1)
    for quantity in wanted:
        np.testing.assert_array_equal(some[quantity], whole[quantity][[7, 0, 7, 11]])
    assert not np.allclose(scorer.bank(View(images, rows), wanted)[LOGITS], some[LOGITS])
    assert scorer.classifier is toys.classifier()


def test_what_checks_a_class_is_made_once(monkeypatch):
    """A plan of a thousand jobs builds each of its methods a thousand times."""
    first = build_detector("odin", node_named("method", "odin"))
    monkeypatch.setattr("ood_bench.utils.build.TypeAdapter", None)
    assert build_detector("odin", node_named("method", "odin")) == first
