import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ood_bench.data.views import View
from ood_bench.scoring.engine import Engine
from ood_bench.scoring.perturb import (
    Perturbation,
    Steps,
    input_gradients,
    sign,
    sign_of_largest,
    sign_of_smallest,
    standardised,
)
from ood_bench.scoring.quantities import LOGITS, OUTPUT, Flat, Quantity

CONV1, CONV2, FC1 = (Quantity(tap, Flat()) for tap in ("conv1", "conv2", "fc1"))
OBJECTIVES = {
    LOGITS: [
        lambda z: F.cross_entropy(z, z.argmax(dim=1), reduction="none"),
        lambda z: F.cross_entropy(z / 1000, z.argmax(dim=1), reduction="none"),
        lambda z: z.logsumexp(dim=1),
    ],
    CONV1: [lambda rows: -(rows - 0.3).norm(dim=1), lambda rows: rows.mean(dim=1).square()],
    FC1: [lambda value: value.sum(dim=1).square()],
}


@pytest.mark.parametrize("quantity", OBJECTIVES, ids=lambda quantity: quantity.tap)
def test_gradients_against_finite_differences(quantity, toys):
    classifier = toys.classifier_of(toys.double(toys.classifier()))
    x, objectives, width = toys.inputs(toys.image_set("blend", 2)), OBJECTIVES[quantity], 3 * 8 * 8
    values, gradients = input_gradients(classifier, x, {quantity: objectives})

    def rows_at(images):
        return toys.tap_value(classifier.network, classifier_tap(quantity.tap), images).flatten(1)

    with torch.no_grad():
        torch.testing.assert_close(values[quantity], rows_at(x))
        for row in range(2):
            steps = 1e-6 * torch.eye(width, dtype=torch.float64).view(width, *x.shape[1:])
            ahead, behind = (rows_at(x[row] + way * steps) for way in (1, -1))
            for objective, gradient in zip(objectives, gradients[quantity], strict=True):
                expected = (objective(ahead) - objective(behind)) / 2e-6
                largest = gradient[row].abs().max().item()
                assert largest > 1e-5
                # What the difference of two nearly equal numbers leaves of float64.
                torch.testing.assert_close(gradient[row].flatten(), expected, rtol=1e-6, atol=1e-5 * largest)


def classifier_tap(tap):
    return "logits" if tap == OUTPUT else tap


def test_only_the_inputs_gradient_is_computed(toys):
    classifier, x = toys.classifier(), toys.inputs(toys.image_set("near", 5)).float()
    with toys.counting(classifier) as counts, torch.no_grad():  # it switches gradients on itself
        values, gradients = input_gradients(classifier, x, {LOGITS: OBJECTIVES[LOGITS]})
    assert (counts[""], counts["backward"]) == (5, 15)
    assert [tuple(gradient.shape) for gradient in gradients[LOGITS]] == [tuple(x.shape)] * 3
    assert all(parameter.grad is None for parameter in classifier.network.parameters())
    assert not values[LOGITS].requires_grad
    assert not x.requires_grad


def test_gradients_of_several_taps_share_a_pass(toys):
    classifier, x = toys.classifier(), toys.inputs(toys.image_set("near", 5)).float()
    with toys.counting(classifier) as counts:
        values, together = input_gradients(classifier, x, OBJECTIVES, also=[CONV2])
    assert (counts[""], counts["backward"]) == (5, 30)
    assert values.keys() == {*OBJECTIVES, CONV2}
    for quantity, objectives in OBJECTIVES.items():
        _, alone = input_gradients(classifier, x, {quantity: objectives})
        for ours, single in zip(together[quantity], alone[quantity], strict=True):
            torch.testing.assert_close(ours, single)


def test_zero_counts_as_positive():
    assert sign(torch.tensor([-2.0, -0.0, 0.0, 1e-30, -1e-30])).tolist() == [-1, 1, 1, 1, -1]


def test_standardised_by_hand_over_the_whole_tensor():
    gradient = torch.tensor([[0.0, 2.0], [4.0, 6.0]])
    deviation = ((9 + 1 + 1 + 9) / 3) ** 0.5
    expected = torch.tensor([[-3.0, -1.0], [1.0, 3.0]]) / deviation
    torch.testing.assert_close(standardised(gradient), expected)
    assert standardised(torch.randn(4, 3, 2, 2)).std().item() == pytest.approx(1)


def test_the_sign_of_the_largest_is_that_of_one_element_of_every_image():
    gradient = torch.tensor([[[[1.0, -3.0]], [[2.0, 0.5]]], [[[0.0, 0.25]], [[-0.5, 4.0]]], [[[0.0, 0.0]]] * 2])
    expected = torch.tensor([[[[0.0, -1.0]], [[0.0, 0.0]]], [[[0.0, 0.0]], [[0.0, 1.0]]]])
    assert sign_of_largest(gradient)[:2].tolist() == expected.tolist()
    assert sign_of_largest(gradient)[2].sum().item() == 1  # a gradient of zero counts as positive


def test_the_sign_of_the_smallest_is_zero_where_the_gradient_is_and_at_all_others():
    gradient = torch.tensor([[[[1.0, -0.5]], [[2.0, 0.75]]], [[[0.0, 0.25]], [[-0.5, 4.0]]]])
    expected = [[[[0.0, -1.0]], [[0.0, 1.0]]], [[[0.0, 1.0]], [[0.0, 0.0]]]]
    assert sign_of_smallest(gradient, 0.7).tolist() == expected
    assert sign_of_smallest(gradient, 0.01).abs().sum().item() == 1  # one element of each image, one of which is 0


def test_scores_may_compare_the_stepped_images_with_the_clean_ones(toys):
    classifier, view = toys.classifier(), View(toys.image_set("near", 6))
    plain = step(scores=[lambda z: z[:, 0], lambda z: z[:, 1]])
    both = step(scores=[lambda z, clean: z[:, 0] - clean[:, 0], lambda z, clean: clean[:, 1]], compares=True)
    alone, compared = (perturbed_scores(classifier, view, one, [0.1, 0.0]) for one in (plain, both))
    np.testing.assert_allclose(compared[0, 0], alone[0, 0] - alone[0, 1], atol=1e-6)
    np.testing.assert_array_equal(compared[0, 1], 0)
    np.testing.assert_array_equal(compared[1], np.stack([alone[1, 1]] * 2))


def step(**changes):
    plain = {
        "quantity": LOGITS,
        "losses": OBJECTIVES[LOGITS][:2],
        "scores": [lambda z: z[:, 0], lambda z: z[:, 1]],
        "rule": sign,
        "direction": -1.0,
        "batch_size": 4,
    }
    return Perturbation(**{**plain, **changes})


def perturbed_scores(classifier, view, perturbation, magnitudes):
    return Engine(None).stepped(classifier, view, [Steps("toy", {}, perturbation, magnitudes)])[0]


@pytest.mark.parametrize("direction", [-1.0, 1.0])
@pytest.mark.parametrize("rule", [sign, sign_of_largest, standardised])
def test_a_step_of_e_is_e_over_std_along_the_processed_gradient(direction, rule, toys):
    classifier, images = toys.classifier(), toys.image_set("near", 4)
    x, std = toys.inputs(images).float(), torch.tensor(toys.STD).view(1, 3, 1, 1)
    ours = perturbed_scores(classifier, View(images), step(direction=direction, rule=rule), [0.0, 0.03, 0.1])
    assert (ours.shape, ours.dtype) == ((2, 3, 4), np.float64)
    _, gradients = input_gradients(classifier, x, {LOGITS: OBJECTIVES[LOGITS][:2]})
    with torch.no_grad():
        for row, gradient in enumerate(gradients[LOGITS]):
            for column, magnitude in enumerate([0.0, 0.03, 0.1]):
                expected = classifier.network(x + direction * magnitude * rule(gradient) / std)[:, row]
                np.testing.assert_allclose(ours[row, column], expected, rtol=1e-4, atol=1e-5)


def test_batches_are_those_of_the_step(toys):
    classifier, sizes = toys.classifier(), []
    handle = classifier.scoring_network.register_forward_pre_hook(lambda _module, found: sizes.append(len(found[0])))
    perturbed_scores(classifier, View(toys.image_set("near", 10)), step(), [0.1])
    handle.remove()
    assert sizes == [4, 4, 4, 4, 4, 4, 2, 2, 2]  # clean, then two losses at one magnitude, for each batch


@pytest.mark.parametrize(
    ("magnitudes", "forward", "backward"), [([0.0], 1, 0), ([0.1], 3, 2), ([0.1, 0.0], 3, 2), ([0.3, 0.2, 0.1], 7, 2)]
)
def test_work(magnitudes, forward, backward, toys):
    classifier, images = toys.classifier(), toys.image_set("near", 10)
    with toys.counting(classifier) as counts:
        perturbed_scores(classifier, View(images), step(), magnitudes)
    assert (counts[""], counts["backward"]) == (10 * forward, 10 * backward)
