import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.verdicts import shares
from ood_bench.report.margins import DEFAULT, Margins
from ood_bench.report.rule import (
    Ours,
    Published,
    decide,
    decide_same_weights,
    half_width,
    networks_needed,
    rounding,
)

ONE = "one seed: how much networks differ is unknown"


def published(printed, runs=1):
    return Published(float(printed), rounding(printed), runs)


@pytest.mark.parametrize(
    ("ours", "value", "said"),
    [
        (Ours(77.3, None, 1), "77.3", "undecided"),  # one seed
        (Ours(77.3, 0.1, 3), "77.3", "reproduced"),
        (Ours(78.0, 0.1, 3), "77.3", "reproduced"),  # 0.7 + 0.22 are within the margin
        (Ours(78.4, 0.1, 3), "77.3", "not reproduced"),
        (Ours(78.25, 0.1, 3), "77.3", "undecided"),  # further than chance, nearer than the margin
        (Ours(77.3, 1.0, 3), "77.3", "undecided"),  # chance alone is 5 points
        (Ours(90.0, 1.0, 3), "77.3", "not reproduced"),
        (Ours(77.4, 0.0, 3), "77", "reproduced"),
        (Ours(77.6, 0.0, 3), "77", "undecided"),  # within the margin, but 77 may stand for 76.5
    ],
)
def test_the_steps(ours, value, said):
    assert decide(ours, published(value), 1.0).said == said


def test_the_half_width_is_that_of_a_prediction_interval():
    """Against SciPy's t-test of two means with the pooled spread of ours alone."""
    ours = np.array([77.0, 77.4, 78.1, 77.7])
    std = float(ours.std(ddof=1))
    half = half_width(std, 4, Published(0.0, 0.0))
    found = stats.ttest_ind_from_stats(ours.mean(), std, 4, ours.mean() + half, 0.0, 1)
    assert found.pvalue == pytest.approx(0.05)
    assert half_width(std, 4, Published(0.0, 0.05, 3)) == pytest.approx(
        stats.t.ppf(0.975, 3) * std * math.sqrt(1 / 3 + 1 / 4) + 0.05
    )


def test_it_says_how_many_networks_would_decide():
    assert networks_needed(0.4, published("77.3"), 1.0) == 10
    assert half_width(0.4, 10, published("77.3")) <= 1 < half_width(0.4, 9, published("77.3"))
    assert decide(Ours(78.0, 0.4, 3), published("77.3"), 1.0).reason.endswith("10 networks would decide at this spread")
    assert networks_needed(0.6, published("77.3"), 1.0) is None
    reason = decide(Ours(78.0, 0.6, 3), published("77.3"), 1.0).reason
    assert reason.endswith("no number of networks decides: one printed run with this spread tells no finer than 1.23")
    reason = decide(Ours(77.3, 2.0, 3), published("77.3", 3), 1.0).reason
    assert reason.endswith("a printed mean of 3 runs with this spread tells no finer than 2.31")
    reason = decide(Ours(79.0, 0.4847, 3), published("77.3"), 1.0).reason  # 1.96 s + 0.05 is 1.00001
    assert reason.endswith("tells no finer than 1.00")
    reason = decide(Ours(79.0, 0.48465, 3), published("77.3"), 1.0).reason
    assert reason.endswith("more than 1,000 networks would decide at this spread")
    reason = decide(Ours(78.25, 0.1, 3), published("77.3"), 1.0).reason
    assert reason == (
        "0.95 apart; by chance up to 0.55 with 3 networks; margin 1; more than chance, yet perhaps within the margin"
    )


def test_the_rounding_is_half_the_last_digit():
    assert [rounding(text) for text in ("77", "77.3", "77.30")] == [0.5, 0.05, 0.005]


def test_beyond_the_limit_is_not_reproduced():
    """It is the larger one of chance and margin; one network has none."""
    assert decide(Ours(77.3, 0.1, 3), published("77.3"), 1.0).limit == 1.0
    assert decide(Ours(77.3, 1.0, 3), published("77.3"), 1.0).limit == pytest.approx(5.01828, abs=1e-5)
    assert decide(Ours(77.3, None, 1), published("77.3"), 1.0) == ("undecided", ONE, None)


def test_the_margin_depends_on_the_metric():
    assert [DEFAULT.of(name) for name in ("auroc", "fpr95", "fpr95_ood_positive", "aupr_in")] == [1, 2, 2, 1]
    assert str(Margins(0.5, 3)) == "0.5 points, 3 for false positive rates"


def test_the_authors_weights_leave_no_room_but_rounding_and_one_image():
    assert decide_same_weights(0.05, published("77.3"), 10_000, 10_000).said == "reproduced"
    assert decide_same_weights(0.11, published("77.3"), 10_000, 10_000).said == "not reproduced"
    assert decide_same_weights(0.11, published("77.3"), 1_000, 10_000).said == "reproduced"


@pytest.mark.parametrize(("n", "std"), [(2, 1.0), (3, 0.3), (5, 1.0)])
def test_a_true_reproduction_is_seldom_called_none(n, std):
    """1,000 pretended reproductions: 5 % with a standard error of 0.7 %."""
    assert shares(n, std, 1, 0.0, 1000)["not reproduced"] < 7
    assert shares(n, std, 1, 0.0, 1000, seed=1)["not reproduced"] < 7
