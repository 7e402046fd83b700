import numpy as np
import pytest
import torch

from ood_bench.scoring.maps import RankOneRemovedMean, ShapedMean
from ood_bench.scoring.quantities import Quantity

RANDOM = np.random.default_rng(0)


def maps(*shape, layout=torch.contiguous_format):
    return torch.from_numpy(RANDOM.normal(size=shape).astype(np.float32)).to(memory_format=layout)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(6, 12, 2, 3), (6, 5, 4, 4), (6, 4, 2, 2), (6, 3, 1, 1)])
def test_rank_one_removed_mean_against_a_full_decomposition(shape, layout):
    tap = maps(*shape, layout=layout)
    expected = []
    for one in tap.flatten(2).double().numpy():
        left, sizes, right = np.linalg.svd(one, full_matrices=False)
        expected.append((left[:, 1:] * sizes[1:] @ right[1:]).mean(axis=1))
    np.testing.assert_allclose(RankOneRemovedMean()(tap), expected, rtol=1e-7, atol=1e-9)


def test_nothing_is_left_of_a_map_of_rank_one_or_of_zeros():
    outer = maps(4, 7, 1, 1) * maps(4, 1, 3, 3)
    torch.testing.assert_close(RankOneRemovedMean()(outer), torch.zeros(4, 7).double(), rtol=0, atol=1e-6)
    assert RankOneRemovedMean()(torch.zeros(2, 7, 3, 3)).abs().max() == 0


def slow(one, kind, percentile):
    """A map ``[C, P]`` by the definition; a stable sort puts the first of equal values first."""
    values = one.ravel()
    k = len(values) - round(len(values) * percentile / 100)
    largest = np.argsort(-values, kind="stable")[:k]
    ratio = values.sum() / values[largest].sum() if values[largest].sum() else 1.0
    changed = values.copy() if kind == "whole" else np.zeros_like(values)
    if kind != "whole":
        changed[largest] = values[largest] if kind == "top" else values.sum() / k
    return [*changed.reshape(one.shape).mean(axis=1), ratio, values.min()]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("percentile", [0.0, 35.0, 90.0])
@pytest.mark.parametrize("kind", ["top", "flat", "whole"])
def test_shaped_mean_against_the_definition(kind, percentile, layout):
    tap = maps(8, 6, 3, 4, layout=layout).clamp_min(-0.3).mul(4).round()  # many values are equal
    tap[1] = 0
    expected = [slow(one.flatten(1).double().numpy(), kind, percentile) for one in tap]
    np.testing.assert_allclose(ShapedMean(kind, percentile)(tap), expected, rtol=1e-12, atol=1e-14)


def test_shaped_means_are_told_apart():
    kinds = [("top", 65.0), ("top", 90.0), ("flat", 65.0)]
    assert len({Quantity("map", ShapedMean(*one)).key for one in kinds}) == 3
    assert ShapedMean("top", 65.0) == ShapedMean("top", 65.0)
