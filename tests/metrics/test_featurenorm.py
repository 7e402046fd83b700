import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from ood_bench.metrics import featurenorm
from ood_bench.metrics.curve import MetricError

Array = npt.NDArray[np.float64]


def nearest_fpr(ids: Array, oods: Array) -> float:
    """Walks down from full recall over the distinct scores and keeps the first that is nearest to 95 %."""
    thresholds = sorted(set(ids) | set(oods))
    recalls = [float(np.mean(ids >= t)) for t in thresholds]
    top_of_full_recall = max(i for i, recall in enumerate(recalls) if recall == 1)
    best = top_of_full_recall
    for i in range(top_of_full_recall, len(thresholds)):
        if abs(recalls[i] - 0.95) < abs(recalls[best] - 0.95):
            best = i
    return float(np.mean(oods >= thresholds[best]))


def check(ids: Array, oods: Array) -> None:
    labels, scores = np.repeat([1, 0], [len(ids), len(oods)]), np.concatenate((ids, oods))
    expected = {
        "auroc": 100 * roc_auc_score(labels, scores),
        "aupr_in": 100 * average_precision_score(labels, scores),
        "fpr95": 100 * nearest_fpr(ids, oods),
    }
    assert featurenorm.metrics(ids, oods) == pytest.approx(expected, abs=1e-9)


def test_agrees_with_the_loop(any_scores: tuple[Array, Array]) -> None:
    check(*any_scores)


def test_agrees_with_the_loop_at_the_extremes(extreme_scores: tuple[Array, Array]) -> None:
    check(*extreme_scores)


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
