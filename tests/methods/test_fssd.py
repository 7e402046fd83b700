import numpy as np
import pytest

from ood_bench.data.views import View

TAPS = ["conv1", "conv2", "fc1", "logits"]


def test_the_generator_is_used_for_the_noise_and_nothing_else(toys):
    random, twin = np.random.RandomState(5), np.random.RandomState(5)
    toys.detector("fssd", noise_images=3).fit(toys.scorer_with(toys.classifier()), random)
    noise = twin.randint(0, 255, (3, *toys.SHAPE), "uint8")
    assert noise.max() == 254
    assert random.randint(0, 1 << 30) == twin.randint(0, 1 << 30)


def test_a_small_step_lowers_the_distance(toys):
    values = toys.raw_scores("fssd", View(toys.image_set("near", 30)), magnitudes=[0.0, 1e-4, 1e-3])
    assert (np.diff(values.mean(axis=1), axis=0) < 0).all()


def test_steps_depend_on_the_gradient_batch_and_not_on_the_engines(toys):
    view, found = View(toys.image_set("near", 40)), {}
    for gradient_batch in (40, 512, 10):
        for engine_batch in (7, 50):
            using = toys.scorer_with(toys.classifier(), batch_size=engine_batch)
            found[gradient_batch, engine_batch] = toys.raw_scores(
                "fssd", view, using=using, magnitudes=[0.1], gradient_batch=gradient_batch
            )
    for gradient_batch in (40, 512, 10):
        np.testing.assert_array_equal(found[gradient_batch, 7], found[gradient_batch, 50])
    np.testing.assert_array_equal(found[40, 7], found[512, 7])  # all rows in one batch either way
    assert not np.allclose(found[40, 7], found[10, 7], rtol=1e-3)


def test_the_order_of_rows_within_one_gradient_batch_does_not_matter(toys):
    images, rows = toys.image_set("near", 20), np.random.default_rng(0).permutation(20)
    changes = {"magnitudes": [0.1], "gradient_batch": 20}
    straight, permuted = (toys.raw_scores("fssd", view, **changes) for view in (View(images), View(images, rows)))
    np.testing.assert_allclose(straight[:, rows], permuted, rtol=1e-4)


def test_rows_are_scored_jointly_only_where_a_step_is_taken(toys):
    assert toys.detector("fssd", magnitudes=[0.1, 0.0], gradient_batch=32).block == 32
    assert toys.detector("fssd", magnitudes=[0.0], gradient_batch=32).block == 1


def test_taps_stand_in_the_order_asked_for(toys):
    view = View(toys.image_set("near", 10))
    whole = toys.raw_scores("fssd", view)
    assert whole.shape == (1, 10, 4)
    np.testing.assert_array_equal(toys.raw_scores("fssd", view, taps=["logits", "conv1"]), whole[:, :, [3, 0]])


def test_score_is_the_mean_of_distances_in_units_of_their_training_deviation(toys):
    view = View(toys.image_set("near", 10))
    train = toys.raw_scores("fssd", View(toys.TRAIN))[0]
    values = toys.raw_scores("fssd", view)[0]
    expected = [
        sum((values[row, tap] - train[:, tap].mean()) / train[:, tap].std() for tap in range(4)) / 4
        for row in range(10)
    ]
    np.testing.assert_allclose(toys.scores("fssd", view), expected, rtol=1e-9)


def test_a_tap_that_never_varies_is_left_out_of_the_score(toys):
    found, using = toys.fitted("fssd", taps=["fc1", "logits"])
    found.calibrate(using, found.grid()[0])
    values = found.raw_scores(using, View(toys.image_set("near", 10)), found.grid())[0]
    mean, deviation = found._scales
    found._scales = mean, deviation * [1, 0]
    np.testing.assert_allclose(found.final_scores(values), (values[:, 0] - mean[0]) / deviation[0], rtol=1e-12)


def test_scoring_needs_calibration_and_fitting_again_forgets_it(toys):
    found, using = toys.fitted("fssd")
    values = found.raw_scores(using, View(toys.image_set("near", 4)), found.grid())[0]
    with pytest.raises(ValueError, match=r"calibrate\(\) comes before final_scores\(\)"):
        found.final_scores(values)
    found.calibrate(using, found.grid()[0])
    assert found.final_scores(values).shape == (4,)
    found.fit(using, np.random.RandomState(1))
    with pytest.raises(ValueError, match=r"calibrate\(\) comes before final_scores\(\)"):
        found.final_scores(values)


def test_steps_share_the_clean_pass(toys):
    found, using = toys.fitted("fssd", taps=["conv1"], magnitudes=[0.1, 0.05, 0.0])
    with toys.counting(using.classifier) as counts:
        found.raw_scores(using, View(toys.image_set("near", 20)), found.grid())
    assert (counts[""], counts["backward"], counts["conv2"]) == (20 * 3, 20, 0)
