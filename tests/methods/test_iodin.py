import numpy as np
import pytest
import torch

from ood_bench.data.views import View


def slow(network, x, std, temperature, epsilon):
    """One image ``[3, 8, 8]`` in float64: its log of the maximum softmax after the step on one element."""
    leaf = x[None].clone().requires_grad_()
    logits = network(leaf)[0] / temperature
    loss = -torch.log_softmax(logits, 0)[logits.argmax()]
    gradient = torch.autograd.grad(loss, leaf)[0][0]
    channel, row, column = np.unravel_index(int(gradient.abs().argmax()), gradient.shape)
    stepped = x.clone()
    stepped[channel, row, column] -= epsilon / std[channel] * (1 if gradient[channel, row, column] >= 0 else -1)
    with torch.no_grad():
        return torch.log_softmax(network(stepped[None])[0] / temperature, 0).max().item()


@pytest.mark.parametrize(("temperature", "epsilon"), [(1.0, 0.3), (10.0, 0.0), (1000.0, 0.3), (1000.0, 0.01)])
def test_scores_against_one_image_at_a_time(temperature, epsilon, toys):
    images, using = toys.image_set("near", 30), toys.scorer_with(toys.classifier())
    ours = toys.scores("iodin", View(images), using=using, magnitudes=[epsilon], temperatures=[temperature])
    network = toys.double(using.classifier)
    expected = [slow(network, x, toys.STD, temperature, epsilon) for x in toys.inputs(images)]
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)


def test_the_step_raises_the_score_less_than_that_of_odin_and_without_one_both_are_msp_at_t(toys):
    view, options = View(toys.image_set("near", 30)), {"magnitudes": [0.01, 0.0], "temperatures": [1.0]}
    one, all_ = (toys.raw_scores(method, view, **options)[:, :, 0] for method in ("iodin", "odin"))
    np.testing.assert_array_equal(one[1], all_[1])
    np.testing.assert_allclose(one[1], toys.scores("msp", view), rtol=1e-5, atol=1e-9)
    assert (one[1] < one[0]).all()
    assert (one[0] < all_[0]).all()


def test_search_goes_over_openoods_settings_unless_there_are_candidates(toys):
    candidates = toys.detector("iodin").candidates()
    assert candidates[:2] == [{"epsilon": 0.0014, "temperature": 1.0}, {"epsilon": 0.0014, "temperature": 10.0}]
    assert len(candidates) == 8
    own = toys.detector("iodin", magnitudes=[0.1, 0.2])
    assert own.candidates() == own.grid()
