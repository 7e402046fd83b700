import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from ood_bench.data.imageset import ImageSet
from ood_bench.training.selection import MspSelector, swept_auroc, validation_view


def slow_sweep(inside, outside):
    """Threshold by threshold: a step of the OOD rate counts with the ID rate that is left after it."""
    area, before = 0.0, 1.0
    for threshold in sorted({0.0, 1.0, *(float(score) + 1e-4 for score in (*inside, *outside))}):
        kept = np.float32(threshold)
        tpr, fpr = (sum(one >= kept for one in rows) / len(rows) for rows in (inside, outside))
        area, before = area + (before - fpr) * tpr, fpr
    return area + before * tpr


def scores(seed, count=60):
    random = np.random.default_rng(seed)
    return random.beta(5, 2, count).astype(np.float32), random.beta(3, 2, count + 10).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
def test_the_sweep_equals_a_slow_one_and_is_near_the_exact_value(seed):
    inside, outside = scores(seed)
    found = swept_auroc(inside, outside)
    assert found == pytest.approx(slow_sweep(inside, outside), rel=1e-12)
    truth = [1] * len(inside) + [0] * len(outside)
    assert found == pytest.approx(roc_auc_score(truth, np.concatenate([inside, outside])), abs=0.01)


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
