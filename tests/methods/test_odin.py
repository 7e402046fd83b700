import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ood_bench.data.imageset import ImageSet
from ood_bench.data.views import View
from ood_bench.scoring.quantities import LOGITS

MAGNITUDES, TEMPERATURES = [0.1, 0.02, 0.0], [1.0, 10.0, 1000.0]


def test_without_a_step_at_temperature_one_it_is_msp(toys):
    view = View(toys.image_set("near", 30))
    ours = toys.raw_scores("odin", view, magnitudes=[0.0], temperatures=[1.0])
    np.testing.assert_allclose(ours, toys.raw_scores("msp", view), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("temperature", [1.0, 1000.0])
def test_probabilities_are_float64_of_the_float32_logits(temperature, toys):
    """At T = 1000 float32 would keep about four digits of the differences between scores."""
    images, using = toys.image_set("id", 40), toys.scorer_with(toys.classifier())
    logits = using.bank(View(images), (LOGITS,))[LOGITS].tolist()
    expected = [-math.log(sum(math.exp((value - max(row)) / temperature) for value in row)) for row in logits]
    ours = toys.scores("odin", View(images), using=using, magnitudes=[0.0], temperatures=[temperature])
    # At T = 1 a few rows are so confident that the slow formula itself loses digits to the 1 in its sum.
    np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-15)
    assert len(np.unique(ours)) == 40


def test_papers_rank_the_float32_softmax(toys):
    """At a low temperature all of them are exactly 1, while the logarithms tell the images apart."""
    view, temperatures = View(toys.image_set("id", 40)), [0.2, 10.0]
    found, using = toys.fitted("odin", magnitudes=[0.0], temperatures=temperatures)
    logits = torch.from_numpy(np.array(using.bank(view, (LOGITS,))[LOGITS]))
    ours = found.paper_scores(using, view, found.grid())[:, :, 0]
    expected = [(logits / temperature).softmax(dim=1).amax(dim=1) for temperature in temperatures]
    np.testing.assert_allclose(ours, np.stack(expected), atol=2e-7)
    assert (ours == ours.astype(np.float32)).all()
    assert (ours[0] == 1).sum() > 1
    assert len(np.unique(found.scores(using, view, found.grid()[0]))) == 40


class Kink(nn.Module):
    """Two logits that depend on the first pixel ``p`` alone: ``100 * relu(0.5 - p)`` and 1."""

    taps = {"logits": "scale"}  # noqa: RUF012 - read only

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(100.0))

    def forward(self, x):
        pixel = x[:, 0, 0, 0]
        return torch.stack([self.scale * F.relu(0.5 - pixel), torch.ones_like(pixel)], dim=1)


@pytest.mark.parametrize("temperature", [1.0, 5.0])
def test_zero_gradient_counts_as_positive_and_the_maximum_is_taken_anew(temperature, toys):
    """Worked by hand: pixel 153 becomes (0.6 - 0.4) / 0.25 = 0.8, where the gradient is exactly zero.

    With sign(0) = +1 and a step of 0.1 / 0.25 it moves to 0.4, where the first logit is 10 and wins; with sign(0) = 0
    or without the division by the deviation, or pinned to the predicted class, the score would be another one.
    """
    images = ImageSet.of("pixel", np.full((2, 1, 1, 1), 153, dtype=np.uint8))
    using = toys.scorer_with(toys.classifier_of(Kink(), mean=(0.4,), std=(0.25,)))
    ours = toys.scores("odin", View(images), using=using, magnitudes=[0.1], temperatures=[temperature])
    expected = 1 / (1 + math.exp((1 - 10) / temperature))
    np.testing.assert_allclose(np.exp(ours), [expected, expected], rtol=1e-5)


def test_the_grid_shares_passes(toys):
    images, found = toys.image_set("near", 20), toys.detector("odin", magnitudes=MAGNITUDES, temperatures=TEMPERATURES)
    using = toys.scorer(found, batch_size=8)
    with toys.counting(using.classifier) as counts:
        found.raw_scores(using, View(images), found.grid())
    assert counts[""] == 20 * (1 + 3 * 2)  # clean images once, then each T at each of two magnitudes above 0
    assert counts["backward"] == 20 * 3  # one gradient for each T
    with toys.counting(using.classifier) as counts:
        found.raw_scores(using, View(images), found.grid())
    assert counts == {}


def test_clean_images_need_no_gradient(toys):
    found = toys.detector("odin", magnitudes=[0.0], temperatures=TEMPERATURES)
    using = toys.scorer(found)
    with toys.counting(using.classifier) as counts:
        found.raw_scores(using, View(toys.image_set("near", 20)), found.grid())
    assert (counts[""], counts["backward"]) == (20, 0)
