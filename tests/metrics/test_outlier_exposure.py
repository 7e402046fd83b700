import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from ood_bench.metrics import outlier_exposure


def flagged(ids, oods):
    """Share of ID rows at or below the score that flags a share of OOD rows nearest to 95 %."""
    thresholds = sorted({*ids, *oods}, reverse=True)  # the highest flags most
    recalls = [float(np.mean(oods <= one)) for one in thresholds]
    best = max(i for i, recall in enumerate(recalls) if recall == 1)
    for i in range(best, len(thresholds)):
        if abs(recalls[i] - 0.95) < abs(recalls[best] - 0.95):
            best = i
    return float(np.mean(ids <= thresholds[best]))


def slow(ids, oods):
    labels, scores = np.repeat([0, 1], [len(ids), len(oods)]), -np.concatenate((ids, oods))
    return {
        "auroc": 100 * roc_auc_score(labels, scores),
        "auprc_out_ratio_1to5": 100 * average_precision_score(labels, scores),
        "fpr95_ood_positive": 100 * flagged(ids, oods),
    }


def test_one_draw_agrees_with_the_loop(any_scores):
    ids, oods = any_scores
    few = oods[: max(1, len(ids) // 5)]
    assert outlier_exposure.metrics(ids, few) == pytest.approx(slow(ids, few), abs=1e-9)


def test_agrees_with_the_loop_at_the_extremes(extreme_scores):
    ids, oods = extreme_scores
    few = oods[: max(1, len(ids) // 5)]
    assert outlier_exposure.metrics(ids, few) == pytest.approx(slow(ids, few), abs=1e-9)


def test_ten_draws_of_a_fifth_are_averaged():
    random = np.random.default_rng(0)
    ids, oods = random.normal(1, 1, 100), random.normal(0, 1, 400)
    draws = np.random.default_rng(3)
    every = [slow(ids, draws.choice(np.sort(oods), 20, replace=False)) for _ in range(10)]
    expected = {name: np.mean([one[name] for one in every]) for name in every[0]}
    assert outlier_exposure.metrics(ids, oods, seed=3) == pytest.approx(expected, abs=1e-9)
    assert outlier_exposure.metrics(ids, oods[::-1], seed=3) == outlier_exposure.metrics(ids, oods, seed=3)
    assert outlier_exposure.metrics(ids, oods, seed=4) != outlier_exposure.metrics(ids, oods, seed=3)


def test_the_class_ratio_is_that_of_a_draw():
    ids, oods = np.arange(100.0), np.arange(400.0) % 100
    assert outlier_exposure.metrics(ids, oods)["auprc_out_ratio_1to5"] < 30  # 1 to 5, where all rows would give 80
