import numpy as np
import pytest

from ood_bench.metrics import MetricError
from ood_bench.metrics.eloc import metrics


def slow(inside, outside):
    """Threshold by threshold, as the formulas say."""
    points = sorted({*inside, *outside})

    def share(rows, accept):
        return sum(map(accept, rows)) / len(rows)

    rates = [(share(inside, lambda v, d=d: v >= d), share(outside, lambda v, d=d: v > d)) for d in points]
    window = [fpr for tpr, fpr in rates if 0.9495 <= tpr <= 0.9505]
    last, area = 1.0, 0.0
    for tpr, fpr in rates:
        area, last = area + (last - fpr) * tpr, fpr
    error = min((share(inside, lambda v, d=d: v < d) + share(outside, lambda v, d=d: v > d)) / 2 for d in points)
    return {
        "auroc": area + last * rates[-1][0],
        "aupr_in": slow_aupr(
            [(share(inside, lambda v, d=d: v >= d), share(outside, lambda v, d=d: v >= d)) for d in points]
        ),
        "aupr_out": slow_aupr(
            [(share(outside, lambda v, d=d: v < d), share(inside, lambda v, d=d: v < d)) for d in reversed(points)]
        ),
        "fpr95": sum(window) / len(window),
        "detection_error": error,
    }


def slow_aupr(rates):
    area, last, precision = 0.0, 1.0, 0.0
    for recall, alarms in rates:
        if recall + alarms == 0:
            continue
        precision = recall / (recall + alarms)
        area, last = area + (last - recall) * precision, recall
    return area + last * precision


def scores(seed, ties=False):
    random = np.random.default_rng(seed)
    inside, outside = random.normal(1, 1, 200), random.normal(0, 1, 160)
    return (inside.round(1), outside.round(1)) if ties else (inside, outside)


@pytest.mark.parametrize("seed", range(3))
def test_equals_a_slow_sweep(seed):
    inside, outside = scores(seed)
    expected = {name: 100 * value for name, value in slow(inside.tolist(), outside.tolist()).items()}
    assert metrics(inside, outside) == pytest.approx(expected, abs=1e-9)


def test_equals_a_slow_sweep_with_ties():
    inside = np.concatenate([np.repeat([1.0, 2.0, 3.0], 20), np.full(3, 0.5)])  # TPR 60/63 is 95.2 %: out of the window
    with pytest.raises(MetricError, match=r"between 94\.95 and 95\.05"):
        metrics(inside, inside)
    inside, outside = np.concatenate([np.repeat([1.0, 2.0], [5, 90]), np.full(5, 0.5)]), np.repeat([0.0, 1.0, 2.0], 30)
    expected = {name: 100 * value for name, value in slow(inside.tolist(), outside.tolist()).items()}
    assert metrics(inside, outside) == pytest.approx(expected, abs=1e-9)


def test_scores_around_minus_ten_are_taken():
    """The ensemble's scores lie outside of ODIN's fixed grid."""
    inside, outside = scores(4)
    shifted = metrics(inside * 1e-3 - 9.77, outside * 1e-3 - 9.77)
    assert shifted == pytest.approx(metrics(inside, outside), abs=1e-9)
