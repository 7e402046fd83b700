import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.methods.base import build_detector
from ood_bench.protocols.base import build_protocol


@pytest.fixture
def made(toys):
    """The protocol with sweeps in place of the shipped ones, and its two validation sets."""

    def make(tune="aps", **sweeps):
        content = toys.content("protocol", "openood_v15")
        protocol = build_protocol(content | ({"sweeps": sweeps} if sweeps else {}), tune)
        protocol.validate_on(toys.image_set("id", 24, seed=7), toys.image_set("blend", 20, seed=7))
        return protocol

    return make


def test_every_row_is_scored_with_the_first_best_of_a_sweep_on_the_validation_sets(made, toys):
    inside, outside = toys.image_set("id", 12), toys.image_set("near", 15)
    found, using = toys.fitted("react")
    using.classifier.card["id_accuracy"] = 71.25
    protocol = made(react={"percentile": [99.0, 90.0, 85.0]})
    outcome = protocol.run("react", found, using, inside, outside)

    valid = toys.image_set("id", 24, seed=7), toys.image_set("blend", 20, seed=7)
    labels = np.repeat([1, 0], [24, 20])
    curve = []
    for percentile in (99.0, 90.0, 85.0):
        scores = [toys.scores("react", View(images), percentile=percentile) for images in valid]
        curve.append(100 * roc_auc_score(labels, np.concatenate(scores)))
    np.testing.assert_allclose(outcome.tuning["curve"], np.array(curve)[:, None])
    assert outcome.setting == {"percentile": (99.0, 90.0, 85.0)[int(np.argmax(curve))]}
    np.testing.assert_array_equal(outcome.id_scores, toys.scores("react", View(inside), **outcome.setting))
    np.testing.assert_array_equal(outcome.ood_scores, toys.scores("react", View(outside), **outcome.setting))
    assert outcome.also_measured == {"id_accuracy": 71.25}
    assert (outcome.rows, outcome.tuning["seen"]) == ("all rows of both test lists", {"toy_id": 24, "toy_blend": 20})
    assert [len(view) for view in protocol.seen("react", found, inside, outside)] == [24, 20]


def test_the_first_list_is_the_fastest_and_the_first_of_equals_wins(made, toys):
    protocol = made(gen={"gamma": [0.1, 0.5], "top": [4, 50]})
    found, using = toys.fitted("gen")
    using.classifier.card["id_accuracy"] = 50.0
    settings = protocol.settings("gen", found)
    assert settings == [{"gamma": gamma, "top": top} for top in (4, 50) for gamma in (0.1, 0.5)]
    # Four classes: the largest 50 probabilities are the largest 4, and the second half of the curve is the first.
    outcome = protocol.run("gen", found, using, toys.image_set("id", 12), toys.image_set("near", 15))
    assert outcome.tuning["curve"][:2] == outcome.tuning["curve"][2:]
    assert outcome.setting["top"] == 4


@pytest.mark.parametrize("method", ["msp", "dice"])
def test_what_openood_does_not_tune_is_scored_as_configured(method, made, toys):
    found, using = toys.fitted(method)
    using.classifier.card["id_accuracy"] = 50.0
    outcome = made().run(method, found, using, toys.image_set("id", 12), toys.image_set("near", 15))
    assert (outcome.tuned_on, outcome.tuning, outcome.setting) == ("nothing", None, {})
    if method == "msp":  # its code ranks float32 probabilities, ties at 1 and all
        for ours, kind, count in zip(outcome.convention_scores, ("id", "near"), (12, 15), strict=True):
            probabilities = found.paper_scores(using, View(toys.image_set(kind, count)), [{}])[0, :, 0]
            np.testing.assert_array_equal(ours, probabilities)


def test_shipped_sweeps_are_openoods(made, toys):
    """Counts of combinations by ``configs/postprocessors``; AdaSCALE's is a list of pairs."""
    counts = {"energy": 4, "odin": 8, "iodin": 8, "mdsens": 1, "gen": 42, "knn": 5, "react": 4, "ash": 7, "scale": 7}
    counts |= {"vim": 2, "fdbd": 2, "nci": 4, "relation": 5, "vra": 16, "adascale": 36}
    protocol = made()
    assert protocol.sweeps.keys() == counts.keys()
    for method, count in counts.items():
        node = toys.content("method", method) | protocol.methods.get(method, {})
        detector = build_detector(method, node)
        protocol.check(method, detector)
        if method == "adascale":
            detector._suits = lambda *_: True  # the network would say
            detector.weight = np.empty((10, 512))
        assert len(protocol.settings(method, detector)) == count
    pairs = [tuple(one.values()) for one in protocol.settings("odin", toys.detector("odin"))]
    assert pairs[:5] == [(1.0, 0.0014), (10.0, 0.0014), (100.0, 0.0014), (1000.0, 0.0014), (1.0, 0.0028)]


def test_untuned_it_is_named_so_and_needs_no_validation_sets(made, toys):
    content = toys.content("protocol", "openood_v15")
    untuned = build_protocol(content, "none")
    untuned.check_sets(toys.image_set("id", 4), toys.image_set("near", 4))
    assert (untuned.variant, untuned.wants_validation, made().variant) == ("untuned", False, "")
    assert "sweeps" not in untuned.identity()
    assert made("published").identity() == made("aps").identity()
    assert made().identity()["validation"] == [one.fingerprint for one in made()._validation]
    assert len(untuned.settings("react", toys.detector("react"))) == 1


def test_what_cannot_be_chosen_is_refused(made, toys):
    with pytest.raises(ConfigError, match=r"protocol.sweeps.react: the method has no percentil\b"):
        made(react={"percentil": [1]}).check("react", toys.detector("react"))
    with pytest.raises(ConfigError, match="method mahalanobis has 2 candidate settings, and OpenOOD does not tune"):
        made().check("mahalanobis", toys.detector("mahalanobis", magnitudes=[0.0, 0.1]))
    bare = build_protocol(toys.content("protocol", "openood_v15"), "aps")
    with pytest.raises(ConfigError, match="the config of toy_id has no `validation` and `validation_ood`"):
        bare.check_sets(toys.image_set("id", 4), toys.image_set("near", 4))
