import numpy as np
import pytest

from ood_bench.metrics import exact, mahalanobis
from ood_bench.metrics.curve import Curve


def test_ties_count_against_id() -> None:
    values = mahalanobis.metrics([1.0, 1.0], [1.0, 1.0])
    assert values["auroc"] == 0
    assert values["aupr_in"] == pytest.approx(100 * (0.5 * (1 / 2 + 1 / 3) / 2 + 0.5 * (1 / 3 + 0) / 2))


def test_nearest_tpr_may_lie_below_95_percent_and_counts_ood_between_the_rows() -> None:
    # Of 17 ID rows 16 are 94.1 %, nearer to 95 % than all 17; one OOD row lies just above the rejected ID row.
    ids, oods = np.arange(1.0, 18), [0.5, 1.5, 1.7, 8.5]
    assert mahalanobis.metrics(ids, oods)["tnr95"] == 25
    assert exact.fpr_at_tpr(Curve.of(ids, oods), 0.95) == 0.75
    assert exact.fpr_at_tpr(Curve.of(ids, oods), 0.94) == 0.25
