"""SCALE on the map; what it shares with ASH is in test_ash_map.py."""

import numpy as np
import torch
from scipy.special import logsumexp

from ood_bench.data.views import View


def test_percentile_0_multiplies_the_features_by_e(toys):
    view = View(toys.image_set("near", 20))
    found, using = toys.fitted("scale_map", percentile=0.0)
    features = using.rows(view, toys.detector("knn").quantity(using.classifier))
    expected = logsumexp(np.e * features @ found.weight.T + found.bias, axis=1)
    np.testing.assert_allclose(found.raw_scores(using, view, [{}])[0, :, 0], expected, rtol=1e-5)


def test_sums_are_taken_over_positions_and_not_over_pooled_features(toys):
    """The k largest of a map hold more of its sum than the k largest means do, so that factors are smaller."""
    images = toys.image_set("near", 20)
    found, using = toys.fitted("scale_map", percentile=80.0)
    rows = using.rows(View(images), found.quantity(using.classifier))
    with torch.no_grad():
        maps = toys.tap_value(toys.double(using.classifier), "block2.1", toys.inputs(images)).flatten(2).numpy()
    largest = np.sort(maps.reshape(20, -1), axis=1)[:, -102:].sum(axis=1)  # of 512 values, 410 are left out
    np.testing.assert_allclose(rows[:, -2], maps.sum(axis=(1, 2)) / largest, rtol=1e-5)
    pooled = np.sort(maps.mean(axis=2), axis=1)
    assert (rows[:, -2] < pooled.sum(axis=1) / pooled[:, -6:].sum(axis=1)).all()  # of 32 features, 26 are left out
