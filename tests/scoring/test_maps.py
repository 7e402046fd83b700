import numpy as np
import pytest
import torch

from ood_bench.scoring.maps import RankOneRemovedMean

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
