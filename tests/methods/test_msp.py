import math

import numpy as np
import pytest
import torch
from pytorch_ood.detector import MaxSoftmax

from ood_bench.data.views import View
from ood_bench.methods.msp import log_max_softmax
from ood_bench.models.softmax import max_softmax_float32
from ood_bench.scoring.quantities import LOGITS


def slow(logits, temperature=1.0):
    """Largest softmax probability of one row, as the formula has it."""
    odds = [math.exp(value / temperature) for value in logits]
    return max(odds) / sum(odds)


@pytest.mark.parametrize("temperature", [1.0, 10.0, 1000.0])
def test_the_formula(temperature):
    logits = np.random.default_rng(0).normal(0, 4, (50, 7))
    expected = [math.log(slow(row, temperature)) for row in logits]
    np.testing.assert_allclose(log_max_softmax(logits, temperature), expected, rtol=1e-9)


def test_hand_worked_cases():
    logits = np.array([[0.0, 0.0], [math.log(3), 0.0], [-5.0, math.log(9) - 5.0]])
    np.testing.assert_allclose(np.exp(log_max_softmax(logits)), [0.5, 0.75, 0.9], rtol=1e-12)
    assert log_max_softmax(np.zeros((2, 5, 10))).shape == (2, 5)


def test_confident_rows_do_not_tie_where_the_probability_rounds_to_one():
    logits = np.array([[40.0, 0.0], [50.0, 0.0], [60.0, 0.0]])
    assert [slow(row) for row in logits] == [1.0, 1.0, 1.0]
    np.testing.assert_allclose(log_max_softmax(logits), -np.exp([-40.0, -50.0, -60.0]), rtol=1e-12)


def test_float32_logits_of_any_size_are_taken_in_float64():
    logits = np.array([[1e4, 0.0], [0.0, -1e4]], dtype=np.float32)
    values = log_max_softmax(logits)
    assert values.dtype == np.float64
    assert values.tolist() == [0.0, 0.0]


def test_papers_rank_the_float32_softmax(toys):
    """Rounding the float64 probability is not the same: the sum of the odds is what float32 rounds."""
    logits = torch.tensor([[20.0, 0.0], [25.0, 0.0], [0.0, 1.0], [16.7, 0.0]])
    found = max_softmax_float32(logits)
    assert found.dtype == torch.float32
    assert found[:2].tolist() == [1.0, 1.0]
    assert found[2].item() == pytest.approx(math.e / (1 + math.e), rel=1e-6)
    assert found[3].item() == 1.0
    assert np.float32(np.exp(log_max_softmax(logits[3:].numpy())))[0] < 1
    detector, using = toys.fitted("msp")
    view = View(toys.image_set("near", 20))
    rows = torch.from_numpy(np.array(using.bank(view, (LOGITS,))[LOGITS]))
    ours = detector.paper_scores(using, view, [{}])
    np.testing.assert_array_equal(ours[0, :, 0], max_softmax_float32(rows))


def test_pytorch_ood_agrees(toys):
    images = toys.image_set("near", 30)
    with torch.no_grad():
        theirs = MaxSoftmax(toys.double(toys.classifier())).predict(toys.inputs(images))
    ours = np.exp(toys.raw_scores("msp", View(images))[0, :, 0])
    np.testing.assert_allclose(ours, -theirs.numpy(), rtol=1e-6)
