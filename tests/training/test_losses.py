import math

import pytest
import torch

from ood_bench.training.losses import cross_entropy, margin_entropy, mean_entropy, outlier_exposure


@pytest.fixture
def logits():
    return torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3


@pytest.fixture
def outliers():
    return torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 3


LABELS = torch.tensor([0, 3, 1, 1, 2])


def slow_cross_entropy(logits, labels):
    losses = []
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        total = sum(math.exp(value) for value in row)
        losses.append(-math.log(math.exp(row[label]) / total))
    return sum(losses) / len(losses)


def slow_uniform(outlier_logits):
    """Mean cross entropy between the uniform distribution and the softmax."""
    losses = []
    for row in outlier_logits.tolist():
        total = sum(math.exp(value) for value in row)
        losses.append(sum(-math.log(math.exp(value) / total) / len(row) for value in row))
    return sum(losses) / len(losses)


def test_cross_entropy_is_the_mean_over_the_batch(logits):
    assert cross_entropy(logits, LABELS).item() == pytest.approx(slow_cross_entropy(logits, LABELS), rel=1e-12)


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_outlier_exposure_adds_the_distance_to_uniform(logits, outliers, weight):
    expected = slow_cross_entropy(logits, LABELS) + weight * slow_uniform(outliers)
    assert outlier_exposure(logits, LABELS, outliers, weight).item() == pytest.approx(expected, rel=1e-12)


def test_outlier_term_is_least_for_equal_logits(outliers):
    nothing = torch.zeros(1, 4, dtype=torch.float64), torch.tensor([0])
    alone = cross_entropy(*nothing).item()
    flat = outlier_exposure(*nothing, torch.full((2, 4), 7.0, dtype=torch.float64), 1.0).item() - alone
    assert flat == pytest.approx(math.log(4))
    assert outlier_exposure(*nothing, outliers, 1.0).item() - alone > flat + 0.1


def test_large_logits_do_not_overflow():
    large = torch.tensor([[1e4, -1e4, 0.0]])
    value = outlier_exposure(large, torch.tensor([0]), large, 1.0).item()
    assert value == pytest.approx(1e4)


def finite_differences(function, point, step=1e-6):
    slopes = torch.zeros_like(point)
    for index in range(point.numel()):
        shift = torch.zeros_like(point).view(-1)
        shift[index] = step
        shift = shift.view_as(point)
        slopes.view(-1)[index] = (function(point + shift) - function(point - shift)) / (2 * step)
    return slopes


def test_gradients_are_those_of_finite_differences(logits, outliers):
    first, second = logits.clone().requires_grad_(), outliers.clone().requires_grad_()
    outlier_exposure(first, LABELS, second, 0.7).backward()
    by_logits = finite_differences(lambda z: outlier_exposure(z, LABELS, outliers, 0.7), logits)
    by_outliers = finite_differences(lambda z: outlier_exposure(logits, LABELS, z, 0.7), outliers)
    torch.testing.assert_close(first.grad, by_logits, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(second.grad, by_outliers, rtol=1e-6, atol=1e-8)
    assert by_outliers.abs().max() > 0.01


def slow_entropy(logits):
    """Mean over rows of minus the sum of p ln p."""
    entropies = []
    for row in logits.tolist():
        total = sum(math.exp(value) for value in row)
        shares = [math.exp(value) / total for value in row]
        entropies.append(-sum(share * math.log(share) for share in shares))
    return sum(entropies) / len(entropies)


def test_mean_entropy_is_minus_the_sum_of_p_ln_p(logits):
    assert mean_entropy(logits).item() == pytest.approx(slow_entropy(logits), rel=1e-12)
    assert mean_entropy(torch.zeros(2, 8)).item() == pytest.approx(math.log(8))
    assert mean_entropy(torch.tensor([[1e4, 0.0, 0.0]])).item() == 0


@pytest.mark.parametrize(("margin", "beta"), [(0.4, 0.2), (2.0, 0.7), (-3.0, 0.2)])
def test_margin_entropy_is_a_hinge_on_the_means(logits, outliers, margin, beta):
    gap = margin + slow_entropy(logits) - slow_entropy(outliers)
    expected = slow_cross_entropy(logits, LABELS) + beta * max(0.0, gap)
    assert margin_entropy(logits, LABELS, outliers, margin, beta).item() == pytest.approx(expected, rel=1e-12)


def test_once_the_margin_is_met_the_outliers_have_no_gradient(logits, outliers):
    for margin, active in ((2.0, True), (-3.0, False)):
        leaf = outliers.clone().requires_grad_()
        margin_entropy(logits, LABELS, leaf, margin, 0.2).backward()
        assert bool(leaf.grad.abs().max() > 0) is active


def test_the_gradient_of_margin_entropy_agrees_with_finite_differences(logits, outliers):
    inside, outside = logits.clone().requires_grad_(), outliers.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: margin_entropy(a, LABELS, b, 2.0, 0.7), (inside, outside))
