import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ood_bench.papers.block import load_blocks
from ood_bench.report.rows import Row, Stat, gather
from ood_bench.report.verdicts import (
    STDS,
    Verdict,
    chance,
    judge,
    outside_tolerance,
    smaller_is_better,
    tolerance,
)

DOC = (Path(__file__).parents[2] / "docs" / "verdicts.md").read_text()


def stat(mean, std, n=3):
    return Stat(mean=mean, std=std, n=n, low=None, high=None)


@pytest.fixture
def row(make):
    """Rows of MSP with given AUROCs, FPR80 = 100 - AUROC."""

    def of(*aurocs, **changes):
        changes = {"method": "msp", **changes}
        records = [make(seed=seed, auroc=auroc, fpr80=100 - auroc, **changes) for seed, auroc in enumerate(aurocs)]
        (found,) = gather(records)
        return found

    return of


@pytest.mark.parametrize(
    ("mean", "std", "printed", "expected"),
    [
        (88.5, 0.1, "87.9", True),
        (88.1, 0.1, "87.9", False),  # exactly two deviations
        (88.5, None, "87.9", False),  # one seed, within a point
        (88.95, None, "87.9", True),
        (88.3, None, "87", True),  # a point is more than the rounding
        (0.04, 0.0, "0.0", False),  # rounds to what is printed
        (0.06, 0.0, "0.0", True),
        (99.996, 0.001, "99.99", True),
        (50.0, 0.1, None, False),
    ],
)
def test_far_is_outside_both_spread_and_rounding(mean, std, printed, expected):
    assert outside_tolerance(stat(mean, std), printed) is expected
    assert outside_tolerance(dataclasses.replace(stat(mean, std), std=50.0), printed) is False
    assert outside_tolerance(None, printed) is False


def test_the_rounding_is_half_the_last_digit():
    assert tolerance(stat(70, 0.01), "77.3") == 0.05
    assert tolerance(stat(70, 0.3), "77.3") == 0.6
    assert tolerance(stat(70, None), "77.3") == 1.0


def test_the_steps_in_their_order(row):
    missing = Row("msp", "", "mnist", "fashionmnist", "mnist", ())
    assert judge(missing, "auroc", None).verdict is Verdict.NOT_RUN
    assert judge(missing, "auroc", "77.3").verdict is Verdict.NOT_RUN
    other = row(77.0, 77.4, ood_variant="JPEG copy")
    assert judge(other, "auroc", None).reason == "there is no published number"
    assert judge(other, "tnr95", "20.0").reason == "our records lack this metric"
    assert judge(other, "auroc", "77.3").reason == "not the official images: mnist (JPEG copy)"
    assert judge(other, "auroc", "77.3").verdict is Verdict.INCOMPARABLE
    assert judge(row(77.0, 77.4), "auroc", "77.3").verdict is Verdict.WITHIN


@pytest.mark.parametrize("role", ["id_train", "id_test", "ood"])
def test_images_of_any_role_that_are_not_official_cannot_be_compared(make, role):
    data = make().model_dump()["data"]
    data[role]["variant"] = "part"
    (found,) = gather([make(data=data)])
    assert judge(found, "auroc", "77.3").reason == f"not the official images: {data[role]['name']} (part)"


@pytest.mark.parametrize(
    ("metric", "printed", "expected"),
    [
        ("auroc", "70.0", Verdict.BETTER),
        ("auroc", "80.0", Verdict.WORSE),
        ("fpr80", "30.0", Verdict.BETTER),
        ("fpr80", "10.0", Verdict.WORSE),
    ],
)
def test_better_and_worse_know_which_way_a_metric_points(row, metric, printed, expected):
    found = judge(row(77.0, 77.1, 77.2), metric, printed)
    assert found.verdict is expected
    assert found.verdict.conclusion == "not reproduced"
    assert found.reason == "tolerance 0.20: two standard deviations over 3 networks"


def test_each_verdict_has_the_conclusion_of_the_document():
    lines = re.findall(r"^\| \d \| .* \| (?P<verdict>[a-z ]+) \| (?P<conclusion>[a-z* ]+) \|$", DOC, re.MULTILINE)
    documented = {verdict: conclusion.replace("*", "") for verdict, conclusion in lines}
    assert documented == {one.value: one.conclusion for one in Verdict}


def test_which_way_a_metric_points():
    assert all(map(smaller_is_better, ("fpr95", "detection_error", "test_error", "fpr95_ood_positive")))
    assert not any(map(smaller_is_better, ("auroc", "aupr_out", "tnr95", "detection_accuracy", "id_accuracy")))


def test_the_chance_is_that_of_one_more_draw():
    """Against SciPy's t-test of a mean of ``n`` draws and a single one."""
    ours = np.array([77.0, 77.4, 78.1, 77.7])
    mean, std = ours.mean(), ours.std(ddof=1)
    expected = stats.ttest_ind_from_stats(mean, std, len(ours), 79.0, 0.0, 1).pvalue
    assert chance(stat(mean, std, len(ours)), "79.0") == pytest.approx(expected, rel=1e-9)
    assert chance(stat(77.0, None, 1), "79.0") is None
    assert chance(stat(77.0, 0.0), "79.0") is None


def test_the_documents_error_rates():
    seeds = re.search(r"\| networks `n` \|(.*)\|\n", DOC)[1].split("|")
    rates = re.search(r"\| outside by chance \|(.*)\|\n", DOC)[1].split("|")
    for n, rate in zip(map(int, seeds), (float(text.strip(" %")) for text in rates), strict=True):
        expected = 2 * stats.t.sf(STDS / math.sqrt(1 + 1 / n), n - 1)
        assert abs(100 * expected - rate) < 0.05
        assert chance(stat(50.0, 1.0, n), f"{50 + STDS}") == pytest.approx(expected)


@pytest.fixture(scope="module")
def openood():
    return next(block for block in load_blocks() if block.name == "openood_cifar10")


@pytest.mark.parametrize(
    ("method", "tuned_on", "reason"),
    [
        ("energy", "validation rows", "tolerance"),
        ("energy", "nothing", "tuned: hyperparameters chosen by OpenOOD's search"),
        ("fdbd", "validation rows", "std of 0.00: one network instead of three"),
    ],
)
def test_flags_on_published_numbers_feed_the_verdict(method, tuned_on, reason, row, openood):
    mine = row(87.0, 88.0, method=method, evaluation={"tuned_on": tuned_on})
    judged = judge(dataclasses.replace(mine, ood="near"), "auroc", "87.58", openood)
    assert judged.verdict is (Verdict.WITHIN if reason == "tolerance" else Verdict.INCOMPARABLE)
    assert judged.reason.startswith(reason)


def test_the_images_that_a_published_table_is_of_are_official_for_it(row, openood):
    mine = row(77.0, 78.0, id_variant="OpenOOD", ood_variant="OpenOOD")
    assert judge(mine, "auroc", "77.3").reason.startswith("not the official images: ")
    assert judge(mine, "auroc", "77.3", openood).verdict is Verdict.WITHIN
    others = row(77.0, 78.0, id_variant="OpenOOD", ood_variant="JPEG copy")
    assert judge(others, "auroc", "77.3", openood).reason == "not the official images: mnist (JPEG copy)"
