"""The metrics of classifying and rejecting together, held to libraries of the same definition and to cases by hand."""

import itertools

import numpy as np
import osr_metrics
import pytest
import torch
from pytorch_ood.metrics import functional
from sklearn.metrics import roc_auc_score

from ood_bench.metrics import SELECTIVE, Measure, measure_selective, selective
from ood_bench.metrics.curve import MetricError

GENERATOR = np.random.default_rng(0)


def case(digits, share_correct, n_id=211, n_ood=157):
    """Scores of ID and OOD rows with few or many ties, and which predictions are right."""
    ids, oods = GENERATOR.normal(1, 1, n_id).round(digits), GENERATOR.normal(0, 1, n_ood).round(digits)
    return ids, oods, GENERATOR.random(n_id) < share_correct


CASES = [case(9, 0.9), case(1, 0.8), case(0, 0.5), case(1, 1.0), case(1, 0.0), case(9, 0.5, 2, 1), case(0, 0.7, 1, 400)]


@pytest.mark.parametrize(("ids", "oods", "correct"), CASES)
def test_every_metric_is_that_of_another_library(ids, oods, correct):
    found = selective.metrics(ids, oods, correct)
    scores, outside = np.append(ids, oods), np.repeat([0, 1], [len(ids), len(oods)])
    everything = np.append(~correct, np.ones(len(oods), dtype=bool))
    expected = {"scod_aurc": osr_metrics.aurc(-scores, everything)}
    if len(ids) > 1:
        expected["aurc"] = osr_metrics.aurc(-ids, ~correct)
    # Any two classes, one of which is the right one.
    predictions = torch.tensor(np.append(correct, np.zeros(len(oods))))
    labels = torch.tensor(np.repeat([1, -1], [len(ids), len(oods)]))
    expected["oscr"] = functional.oscr_score(torch.tensor(-scores), predictions, labels)
    expected["autc"] = float(functional.autc(torch.tensor(-scores), labels))
    for name, rows in (("auroc_correct", correct), ("auroc_wrong", ~correct)):
        if rows.any():
            kept = np.append(ids[rows], oods)
            expected[name] = roc_auc_score(np.repeat([1, 0], [rows.sum(), len(oods)]), kept)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert found["oscr"] == pytest.approx(
        osr_metrics.oscr_curve(-scores, outside, np.append(correct, np.zeros(len(oods))))[2], abs=1e-9
    )
    assert found.keys() == expected.keys() | {"aurc", "augrc", "scod_augrc"}


@pytest.mark.parametrize(("ids", "oods", "correct"), CASES)
def test_augrc_is_what_accuracy_and_auroc_of_failures_give(ids, oods, correct):
    """Its closed form, arXiv 2407.01032: (1 - AUROC) (1 - e) e + e^2 / 2, with e the share of failures."""
    found = selective.metrics(ids, oods, correct)
    failures = {"augrc": (ids, ~correct), "scod_augrc": (np.append(ids, oods), np.append(~correct, [True] * len(oods)))}
    for name, (scores, fails) in failures.items():
        share = fails.mean()
        auroc = roc_auc_score(~fails, scores) if 0 < share < 1 else 0.0  # its factor is 0
        assert found[name] == pytest.approx((1 - auroc) * (1 - share) * share + share**2 / 2, abs=1e-9)


def test_a_case_by_hand():
    """Accepted in the order right 4, OOD 3, wrong 2, right 1."""
    found = selective.metrics([4.0, 2.0, 1.0], [3.0], np.array([True, False, True]))
    assert found == pytest.approx(
        {
            "aurc": (0 + 1 / 2 + 1 / 3) / 3,
            "augrc": (0 + (0 + 1) / 2 + (1 + 1) / 2) / 9,
            "scod_aurc": (0 + 1 / 2 + 2 / 3 + 2 / 4) / 4,
            "scod_augrc": (0 + (0 + 1) / 2 + (1 + 2) / 2 + (2 + 2) / 2) / 16,
            "oscr": 1 / 3,
            "auroc_correct": 1 / 2,
            "auroc_wrong": 0.0,
            "autc": ((0 + 2 / 3 + 1) / 3 + 2 / 3) / 2,
        }
    )


def test_ties_are_the_mean_over_all_orders():
    ids, oods, correct = np.array([1.0, 1.0, 0.0]), np.array([1.0]), np.array([True, False, True])
    found = selective.metrics(ids, oods, correct)
    ranks = itertools.permutations((1.0, 2.0, 3.0))
    orders = [selective.metrics([right, wrong, 0.0], [outside], correct) for right, wrong, outside in ranks]
    for name in ("aurc", "augrc", "scod_aurc", "scod_augrc", "oscr", "auroc_correct", "auroc_wrong"):
        assert found[name] == pytest.approx(np.mean([one[name] for one in orders]))


def test_no_metric_depends_on_the_order_of_rows():
    ids, oods, correct = CASES[2]
    order = GENERATOR.permutation(len(ids))
    assert selective.metrics(ids[order], oods[::-1], correct[order]) == pytest.approx(
        selective.metrics(ids, oods, correct)
    )


@pytest.mark.parametrize(
    ("correct", "missing", "oscr"), [([True], "auroc_wrong", 0.5), ([False], "auroc_correct", 0.0)]
)
def test_one_image_of_each_kind_with_one_score(correct, missing, oscr):
    failures = 1 - correct[0]
    found = measure_selective([7.0], [7.0], correct=np.array(correct))
    known = {
        "aurc": failures,
        "augrc": failures / 2,
        "scod_aurc": (1 + failures) / 2,
        "scod_augrc": (1 + failures) / 4,
        "oscr": oscr,
        ({"auroc_wrong", "auroc_correct"} - {missing}).pop(): 0.5,
    }
    assert found == {name: Measure(100 * value) for name, value in known.items()}


@pytest.mark.parametrize(
    ("ids", "oods"), [([1.0, 1.0], [1.0]), ([np.inf, 1.0], [0.0]), ([1.0], [-np.inf, 0.0]), ([1.7e308], [-1.7e308])]
)
def test_the_area_under_the_threshold_curve_needs_a_finite_range(ids, oods):
    assert "autc" not in selective.metrics(ids, oods)
    assert selective.metrics([2.0, 1.0], [0.0]) == {"autc": 0.125}


def test_without_correctness_there_is_what_scores_alone_give():
    ids, oods, correct = CASES[0]
    whole = measure_selective(ids, oods, correct=correct)
    alone = measure_selective(ids, oods)
    assert tuple(whole) == SELECTIVE
    assert alone == {name: whole[name] for name in ("autc", "tpr95_transferred", "fpr95_transferred")}


@pytest.mark.parametrize("correct", [[True], [1, 0], [[True], [False]], [0.5, 1.0]])
def test_correctness_is_a_bool_for_each_row(correct):
    with pytest.raises(MetricError, match=r"correct is .*: give a bool for each of 2 ID rows"):
        selective.metrics([1.0, 2.0], [0.0], correct)
