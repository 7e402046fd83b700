import numpy as np
import pytest

from ood_bench.metrics import featurenorm
from ood_bench.metrics.curve import MetricError


def test_takes_the_nearer_of_two_recalls_about_95_percent() -> None:
    # Recalls 0.949 and 0.951 both occur; 0.951 is nearer by a hair only after one more ID row is tied to it.
    ids = np.repeat([3.0, 2.0, 1.0], [949, 3, 48])
    oods = np.array([2.0, 2.0, 1.5, 0.0])
    assert featurenorm.metrics(ids, oods)["fpr95"] == 0  # 0.949 is nearer than 0.952
    ids = np.repeat([3.0, 2.0, 1.0], [948, 3, 49])
    assert featurenorm.metrics(ids, oods)["fpr95"] == 75  # 0.951 is nearer than 0.948, down to the next ID row


def test_nan_is_refused() -> None:
    with pytest.raises(MetricError, match="NaN"):
        featurenorm.metrics([1.0], [np.nan])
