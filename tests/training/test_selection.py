import numpy as np
import pytest
import torch
from torch import nn

from ood_bench.data.imageset import ImageSet
from ood_bench.training.selection import MspSelector, swept_auroc, validation_view


def test_the_rate_at_the_end_of_a_step_counts():
    """By hand: at .5 + 1e-4 the lower OOD row falls while half of the ID rows are left, at .9 + 1e-4 none is."""
    assert swept_auroc(np.array([0.9, 0.5]), np.array([0.9, 0.5])) == pytest.approx(0.5 * 0.5)
    assert swept_auroc(np.array([0.7, 0.7]), np.array([0.7, 0.7])) == 0


@pytest.mark.parametrize(
    ("count", "first", "total"),
    [
        (10_000, [5876, 6555, 1448, 3351, 231, 1204, 1911, 9648, 8438, 7541], 5_034_108),
        (8925, [8446, 3222, 1722, 1373, 2777], 4_515_694),
    ],
)
def test_the_published_rows(count, first, total):
    rows = validation_view(ImageSet.of("toy", np.zeros((count, 1, 1, 1), dtype=np.uint8))).rows
    assert (len(rows), rows[: len(first)].tolist(), int(rows.sum())) == (1000, first, total)


class Brightness(nn.Module):
    """Two logits; the brighter the image the surer."""

    def forward(self, x):
        pixel = x.flatten(1).mean(dim=1)
        return torch.stack([pixel, torch.zeros_like(pixel)], dim=1)


def test_a_selector_ranks_by_the_largest_probability_and_leaves_evaluation_mode():
    random = np.random.default_rng(0)
    sets = [
        ImageSet.of(name, random.integers(low, 250, (300, 1, 2, 2), dtype=np.uint8))
        for name, low in (("in", 100), ("out", 0))
    ]
    network = Brightness().train()
    found = MspSelector(*sets, normalise=lambda batch: batch.float() / 50)(network)
    brightness = [images.images.reshape(300, -1).mean(axis=1) / 50 for images in sets]
    expected = swept_auroc(*(1 / (1 + np.exp(-values)) for values in brightness))
    assert found == pytest.approx(expected, abs=1e-4)
    assert 0.6 < found < 0.95
    assert not network.training
