import numpy as np
import pytest

from ood_bench.errors import ConfigError
from ood_bench.metrics import evaluate
from ood_bench.protocols.mahalanobis import MahalanobisProtocol
from ood_bench.scoring.engine import View
from ood_bench.tuning.adversarial import fgsm_images
from ood_bench.tuning.logistic_2018 import fit_combination_2018

STEPS = [0.0, 0.05, 0.1]
FIT, ROWS = slice(0, 20), slice(0, 30)


def protocol(**options):
    return MahalanobisProtocol(name="toy", **{"fit_rows": 20, "select_rows": 10, **options})


@pytest.fixture
def pair(toys):
    return toys.image_set("id", 60), toys.image_set("near", 50)


def rows_of(images, rows):
    return View(images, np.arange(len(images))[rows])


def slow(detector, using, inside, outside, other):
    """The released code's loop with one regression a setting; gives the setting, and scores of the remaining rows."""
    best, found = 0.0, None
    for setting in detector.grid():

        def of(images, rows, setting=setting):
            return detector.raw_scores(using, rows_of(images, rows), [setting])[0]

        regression = fit_combination_2018(of(inside, FIT), of(other, FIT))
        chosen_on = (-regression.ood_probability(of(images, slice(20, 30))) for images in (inside, other))
        tnr = evaluate("mahalanobis", *chosen_on)["tnr95"]
        if tnr > best:
            rest = [regression.decision(of(images, slice(30, None))) for images in (inside, outside)]
            best, found = tnr, (setting, *rest)
    return found


def test_the_ensemble_of_taps_is_fitted_and_chosen_on_the_first_rows(toys, pair):
    inside, outside = pair
    found, using = toys.fitted("mahalanobis", taps=["all"], magnitudes=STEPS)
    outcome = protocol().run("mahalanobis", found, using, inside, outside)
    setting, id_scores, ood_scores = slow(found, using, inside, outside, outside)
    assert outcome.setting == setting
    np.testing.assert_allclose(outcome.id_scores, id_scores, rtol=1e-6)
    np.testing.assert_allclose(outcome.ood_scores, ood_scores, rtol=1e-6)
    assert "the first 20 rows each of the ID test set and of toy_near fit the regression" in outcome.tuned_on
    assert outcome.tuning["seen"] == {"toy_id": 30, "toy_near": 30}
    assert outcome.id_rows.tolist() == list(range(30, 60))
    assert len(outcome.ood_scores) == 20


def test_adversarial_images_take_the_place_of_ood_images(toys, pair):
    inside, outside = pair
    found, using = toys.fitted("mahalanobis", taps=["all"], magnitudes=STEPS)
    chooser = protocol(validation="fgsm", fgsm_magnitude=0.1)
    outcome = chooser.run("mahalanobis", found, using, inside, outside)
    other = fgsm_images(using, rows_of(inside, ROWS), 0.1)
    setting, id_scores, _ = slow(found, using, inside, outside, other)
    assert outcome.setting == setting
    np.testing.assert_allclose(outcome.id_scores, id_scores, rtol=1e-6)
    assert outcome.tuned_on.endswith("no OOD image")
    assert [view.images.name for view in chooser.seen("mahalanobis", found, inside, outside)] == ["toy_id"]
    assert [view.images.name for view in protocol().seen("mahalanobis", found, inside, outside)] == [
        "toy_id",
        "toy_near",
    ]


def test_single_statistics_are_chosen_on_all_validation_rows_without_a_regression(toys, pair):
    inside, outside = pair
    found, using = toys.fitted("odin", magnitudes=[0.0, 0.05], temperatures=[1.0, 1000.0])
    chooser = protocol(excluded={"odin": [{"epsilon": 0.0, "temperature": 1.0}]})
    outcome = chooser.run("odin", found, using, inside, outside)
    candidates = [(0.05, 1.0), (0.0, 1000.0), (0.05, 1000.0)]  # temperatures in the outer loop
    assert [(one["epsilon"], one["temperature"]) for one in outcome.tuning["candidates"]] == candidates
    curve = []
    for epsilon, temperature in candidates:
        setting = {"epsilon": epsilon, "temperature": temperature}
        scores = (found.paper_scores(using, rows_of(images, ROWS), [setting])[0, :, 0] for images in pair)
        curve.append([evaluate("mahalanobis", *scores)["tnr95"]])
    assert outcome.tuning["curve"] == curve
    best = candidates[int(np.argmax(curve))]
    assert (outcome.setting["epsilon"], outcome.setting["temperature"]) == best
    expected = found.raw_scores(using, rows_of(inside, slice(30, None)), [outcome.setting])[0, :, 0]
    np.testing.assert_array_equal(outcome.id_scores, expected)


def test_one_setting_of_one_statistic_sees_nothing(toys, pair):
    found, using = toys.fitted("msp")
    outcome = protocol().run("msp", found, using, *pair)
    assert (outcome.tuned_on, outcome.tuning) == ("nothing", None)


def test_scored_rows_are_not_seen(toys, pair):
    found = toys.detector("mahalanobis")
    for scored, seen in zip(protocol().scored("m", found, *pair), protocol().seen("m", found, *pair), strict=True):
        assert not set(scored.rows) & set(seen.rows)
        assert len(scored) + len(seen) == len(scored.images)


def test_the_attack_counts_only_where_it_is_used():
    assert protocol(fgsm_magnitude=0.1).identity() == protocol().identity()
    attacked = protocol(validation="fgsm")
    assert attacked.identity() != protocol(validation="fgsm", fgsm_magnitude=0.1).identity()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fit_rows": 2}, "fit_rows .2. must be at least folds"),
        ({"select_rows": 0}, "select_rows .0. at least 1"),
        ({"fit_rows": 40}, "takes 40 . 10 rows of toy_near"),
    ],
)
def test_too_few_rows_are_refused(toys, pair, options, message):
    with pytest.raises(ConfigError, match=message):
        protocol(**options).check_sets(*pair)


def test_open_choices_are_refused(toys):
    with pytest.raises(ConfigError, match="2 candidate settings"):
        protocol(tune="none").check("mahalanobis", toys.detector("mahalanobis", magnitudes=[0.0, 0.1]))
    nothing = protocol(excluded={"odin": [{"epsilon": 0.0, "temperature": 1.0}]})
    with pytest.raises(ConfigError, match="leaves none of its settings"):
        nothing.check("odin", toys.detector("odin", magnitudes=[0.0], temperatures=[1.0]))
