import numpy as np
import pytest
from scipy.stats import spearmanr

from benchmarks.agreement import agreement

RANDOM = np.random.default_rng(0)
SCORES = RANDOM.normal(size=50)


def test_equal_scores_agree():
    found = agreement(SCORES, SCORES.copy(), tolerance=0.0)
    assert (found.difference, found.verdict) == (0.0, "agree")
    assert found.rank_correlation == pytest.approx(1.0)


def test_the_difference_is_a_share_of_the_range_of_ours():
    found = agreement([0.0, 4.0, 2.0], [0.0, 4.0, 3.0], tolerance=0.2)
    assert (found.difference, found.unit, found.verdict) == (0.25, "of the range", "DIFFER")
    assert agreement([0.0, 4.0, 2.0], [0.0, 4.0, 3.0], tolerance=0.25).verdict == "agree"


def test_metrics_are_compared_in_points():
    found = agreement([[90.0, 80.0]], [[90.0, 80.5]], tolerance=1.0, points=True)
    assert (found.difference, found.unit, found.verdict) == (0.5, "points", "agree")


def test_another_definition_is_not_judged_but_still_ranked():
    found = agreement(SCORES, 1000 * np.exp(SCORES), tolerance=None, why="an exponential")
    assert (found.verdict, found.why) == ("other definition", "an exponential")
    assert found.rank_correlation == pytest.approx(1.0)
    assert found.difference > 1


def test_rank_correlation_against_scipy_with_ties():
    one, other = RANDOM.integers(0, 9, 80), RANDOM.integers(0, 9, 80)
    assert agreement(one, other, tolerance=None).rank_correlation == pytest.approx(spearmanr(one, other).statistic)


def test_constant_scores_have_no_rank_correlation():
    assert np.isnan(agreement([1.0, 1.0], [1.0, 2.0], tolerance=0.0).rank_correlation)
    assert agreement([1.0, 1.0], [1.0, 1.0], tolerance=0.0).verdict == "agree"
    assert agreement([1.0, 1.0], [1.0, 2.0], tolerance=9.0).verdict == "DIFFER"


@pytest.mark.parametrize("theirs", [[1.0], [1.0, np.nan], [1.0, np.inf]])
def test_what_cannot_be_compared_is_refused(theirs):
    with pytest.raises(ValueError, match="cannot be compared"):
        agreement([1.0, 2.0], theirs, tolerance=None)
