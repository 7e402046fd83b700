"""A method that changes features or logits, under every score of the logits."""

from dataclasses import dataclass

import numpy as np
import pytest

from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.methods.base import build_detector
from ood_bench.methods.gen import Gen
from ood_bench.methods.kl_matching import KlMatching
from ood_bench.methods.posthoc import LogitsDetector
from ood_bench.methods.shaping import LOGIT_SCORES, ShapingDetector
from ood_bench.methods.vra import Vra

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(3, 8)), RANDOM.normal(size=3)
TRAIN, ROWS = RANDOM.exponential(size=(200, 8)), RANDOM.exponential(size=(40, 8)) * 2


@dataclass
class Halved(ShapingDetector):
    def shape(self, features):
        return self.logits(features / 2)


@dataclass
class Own(LogitsDetector):
    place: int = 0

    def score(self, logits):
        return logits[:, self.place]


def halved(base):
    found = Halved(base=base)
    found.weight, found.bias = WEIGHT, BIAS
    return found


@pytest.mark.parametrize("base", [name for name in LOGIT_SCORES if name != "kl_matching"])
def test_every_score_of_the_logits_stands_on_top(base):
    expected = build_detector(base, {"_target_": LOGIT_SCORES[base]}).score(ROWS / 2 @ WEIGHT.T + BIAS)
    found = halved(base)
    np.testing.assert_array_equal(found.score(ROWS), expected)
    assert not found.learns


def test_a_score_that_learns_does_so_from_the_changed_logits():
    found, alone = halved("kl_matching"), KlMatching()
    labels = np.zeros(len(TRAIN), np.int64)
    assert found.learns
    found.learn(TRAIN, labels)
    alone.learn(TRAIN / 2 @ WEIGHT.T + BIAS, labels)
    np.testing.assert_array_equal(found.score(ROWS), alone.score(ROWS / 2 @ WEIGHT.T + BIAS))


def test_hyperparameters_of_the_score_and_one_of_your_own():
    logits = ROWS / 2 @ WEIGHT.T + BIAS
    np.testing.assert_array_equal(halved({"gen": {"gamma": 0.5}}).score(ROWS), Gen(gamma=0.5).score(logits))
    np.testing.assert_array_equal(halved({f"{__name__}.Own": {"place": 2}}).score(ROWS), logits[:, 2])


def test_tables_name_the_score_unless_it_is_the_papers_energy():
    assert [Halved(base=base).variant for base in ("energy", "msp", {"gen": {}})] == ["", "with msp", "with gen"]


def test_tables_name_a_definition_that_is_not_the_authors():
    found = [Gen(), Gen(definition="pytorch_ood"), Vra(definition="openood"), Vra(definition="openood", base="msp")]
    assert [one.variant for one in found] == ["", "as pytorch_ood", "as openood", "as openood, with msp"]


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("odin", "base is 'odin', no score of the logits.*: choose one of energy, "),
        ("gne", r"base is 'gne', no score of the logits \(did you mean gen\?\)"),
        ({}, "it must be one score of the logits"),
        ({"gen": {"gamma": -1}}, "method gen: gamma: input should be greater than 0, is -1"),
        ({"ood_bench.methods.knn.Knn": {}}, "no score of the logits"),
    ],
)
def test_what_is_no_score_of_the_logits_is_refused(base, message):
    with pytest.raises(ConfigError, match=message):
        Halved(base=base)


def test_each_setting_scores_as_a_method_with_these_hyperparameters(toys):
    found, using = toys.fitted("react")
    view, grid = View(toys.image_set("near", 12)), found.candidates()
    whole = found.raw_scores(using, view, grid)
    assert whole.shape == (4, 12, 1)
    for setting, scores in zip(grid, whole, strict=True):
        np.testing.assert_array_equal(scores[:, 0], toys.scores("react", view, **setting))
    np.testing.assert_array_equal(whole[1], found.raw_scores(using, view, [{}])[0])
