import math

import numpy as np
import pytest
import torch

from ood_bench.scoring.quantities import LOGITS, OUTPUT, Distance, Flat, Mean, Quantity, RectifiedNorm


def test_flat_keeps_all_values_in_nchw_order():
    tap = torch.arange(24.0).view(2, 3, 2, 2)
    assert Flat()(tap).tolist() == [list(range(12)), list(range(12, 24))]
    last = tap.to(memory_format=torch.channels_last)
    assert Flat()(last).tolist() == Flat()(tap).tolist()


def test_mean_of_each_channel():
    tap = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]], [[0.0, 0.0], [0.0, 2.0]]]])
    assert Mean()(tap).tolist() == [[4.0, 0.5]]
    assert Mean()(tap.flatten(2)).tolist() == [[4.0, 0.5]]
    assert Mean()(torch.tensor([[1.0, 2.0]])).tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(5, 3, 4, 2), (1, 3, 4, 2), (40, 64, 33, 33)])
@pytest.mark.parametrize("grad", [False, True])
def test_distance_in_any_memory_order(layout, shape, grad):
    random = np.random.default_rng(0)
    tap, centre = random.random(shape, dtype=np.float32), random.random(shape[1:], dtype=np.float32)
    expected = [[math.sqrt(((one.astype(float) - centre) ** 2).sum())] for one in tap]
    with torch.set_grad_enabled(grad):
        ours = Distance(centre)(torch.from_numpy(tap).to(memory_format=layout))
    assert ours.shape == (shape[0], 1)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_distance_of_a_flat_tap_by_hand():
    centre = np.array([1.0, 2.0, 2.0], dtype=np.float32)
    assert Distance(centre)(torch.tensor([[1.0, 2.0, 2.0], [1.0, 5.0, -2.0]])).tolist() == [[0.0], [5.0]]


def test_distance_can_be_derived():
    centre = np.zeros(2, dtype=np.float32)
    x = torch.tensor([[3.0, 4.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(Distance(centre)(x).sum(), x)
    torch.testing.assert_close(gradient, torch.tensor([[0.6, 0.8]]))


def test_rectified_norm_by_hand():
    tap = torch.tensor([[[[3.0, -9.0], [4.0, 0.0]], [[-1.0, -1.0], [-1.0, 1.0]]]])
    assert RectifiedNorm()(tap).tolist() == [[(5.0 + 1.0) / 2]]
    assert RectifiedNorm()(torch.tensor([[2.0, -4.0, 4.0]])).tolist() == [[2.0]]


def test_keys_tell_quantities_apart():
    points = [np.zeros(3, np.float32), np.ones(3, np.float32)]
    quantities = [
        LOGITS,
        Quantity(OUTPUT, Mean()),
        Quantity("fc1", Mean()),
        Quantity("fc1", Flat()),
        Quantity("fc1", RectifiedNorm()),
        *(Quantity("fc1", Distance(point)) for point in points),
    ]
    assert len({quantity.key for quantity in quantities}) == len(set(quantities)) == 7
    assert Quantity("fc1", Distance(points[1].copy())) == quantities[6]
    assert hash(Quantity("fc1", Distance(points[1].copy()))) == hash(quantities[6])
    assert quantities[5] != quantities[6]
    assert LOGITS.key == "output-flat"
