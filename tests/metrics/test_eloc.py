import numpy as np
import pytest

from ood_bench.metrics import MetricError
from ood_bench.metrics.eloc import metrics


def test_no_threshold_near_95_percent_is_an_error():
    inside = np.repeat([0.5, 1.0, 2.0, 3.0], [3, 20, 20, 20])  # a TPR of 60/63 is 95.2 %
    with pytest.raises(MetricError, match=r"between 94\.95 and 95\.05"):
        metrics(inside, inside)


def test_scores_around_minus_ten_are_taken():
    """The ensemble's scores lie outside of ODIN's fixed grid."""
    random = np.random.default_rng(4)
    inside, outside = random.normal(1, 1, 200), random.normal(0, 1, 160)
    shifted = metrics(inside * 1e-3 - 9.77, outside * 1e-3 - 9.77)
    assert shifted == pytest.approx(metrics(inside, outside), abs=1e-9)
