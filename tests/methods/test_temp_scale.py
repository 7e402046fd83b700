import numpy as np
import pytest
import torch
from last_layer import learner
from pytorch_ood.detector import TemperatureScaling
from scipy.special import softmax

from ood_bench.errors import ConfigError
from ood_bench.methods.temp_scale import TempScale

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 4, 300)
LOGITS = RANDOM.normal(size=(300, 4)) * 3 + 4 * np.eye(4)[LABELS]
ROWS = RANDOM.normal(size=(40, 4)) * 3
learned = learner(TempScale, LOGITS, labels=LABELS)


def loss(temperature):
    """Mean negative log-likelihood, image by image."""
    return np.mean(
        [
            np.log(sum(np.exp(row / temperature))) - row[label] / temperature
            for row, label in zip(LOGITS, LABELS, strict=True)
        ]
    )


def test_the_temperature_is_the_best_of_all():
    best = learned().findings()["temperature"]
    around = best * np.array([1 - 1e-3, 1, 1 + 1e-3])
    assert np.argmin([loss(one) for one in around]) == 1
    assert loss(best) <= min(loss(one) for one in np.geomspace(0.05, 50, 400))


def test_logits_of_the_labels_equal_the_expected_ones_on_average():
    p = softmax(LOGITS / learned().findings()["temperature"], axis=1)
    assert np.mean((p * LOGITS).sum(axis=1)) == pytest.approx(np.mean(LOGITS[np.arange(300), LABELS]), rel=1e-12)


def test_score_is_the_log_odds_of_the_largest_probability_at_the_temperature():
    temperature = learned().findings()["temperature"]
    p = [max(np.exp(row / temperature)) / sum(np.exp(row / temperature)) for row in ROWS]
    np.testing.assert_allclose(learned().score(ROWS), temperature * np.log(p / (1 - np.array(p))), rtol=1e-9)


@pytest.mark.parametrize("scale", [0.05, 40.0])
def test_scaling_all_logits_scales_the_temperature_and_the_score(scale):
    found = learned(scale * LOGITS)
    assert found.findings()["temperature"] == pytest.approx(scale * learned().findings()["temperature"], rel=1e-9)
    np.testing.assert_allclose(found.score(scale * ROWS), scale * learned().score(ROWS), rtol=1e-8)


def test_pytorch_ood_stops_near_the_minimum():
    theirs = TemperatureScaling(None).fit_logits(torch.from_numpy(LOGITS), torch.from_numpy(LABELS))
    best = learned().findings()["temperature"]
    assert theirs.t.item() == pytest.approx(best, rel=0.5)
    assert loss(best) < loss(theirs.t.item())


def test_images_that_are_all_classified_rightly_leave_the_gap_of_the_two_largest_logits():
    """To which the score goes where one wrong image among ever more right ones lets the temperature fall."""
    sure = 0.06 * np.eye(4)[LABELS] + RANDOM.uniform(0, 0.01, (300, 4))
    found = learned(sure)
    assert found.findings() == {"temperature": 0}
    ordered = np.sort(ROWS, axis=1)
    np.testing.assert_allclose(found.score(ROWS), ordered[:, -1] - ordered[:, -2], rtol=1e-12)
    nearly = learned(np.vstack([sure, [[1e-5, 0, 0, 0]]]), labels=np.append(LABELS, 1))
    assert 0 < nearly.findings()["temperature"] < 0.01
    np.testing.assert_allclose(nearly.score(ROWS), found.score(ROWS), atol=0.01)


def test_logits_that_say_nothing_of_the_labels_are_refused():
    with pytest.raises(ConfigError, match=r"method temp_scale: logits of the labels are no larger.*: train for longer"):
        learned(labels=LOGITS.argmin(axis=1))
