"""Tests over networks against scikit-posthocs and statsmodels (``ranks_golden.json``), SciPy and printed tables."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2, permutation_test

from ood_bench.metrics.curve import MetricError
from ood_bench.metrics.paired import holm
from ood_bench.metrics.ranks import cliques, critical_difference, least_p, networks_needed, ranked, sign_flip

GOLDEN = json.loads((Path(__file__).parent / "ranks_golden.json").read_text())
Q = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}  # Demšar 2006, table 5


def test_pairs_within_the_critical_difference_are_those_that_scikit_posthocs_does_not_tell_apart():
    found = ranked(GOLDEN["values"])
    apart = np.abs(found.average[:, None] - found.average) > found.difference
    expected = np.array(GOLDEN["nemenyi_p"]) < 0.05
    assert expected.any()
    np.testing.assert_array_equal(apart, expected)


def test_holm_is_that_of_statsmodels():
    np.testing.assert_allclose(holm(GOLDEN["p"]), GOLDEN["holm"], rtol=1e-12)


@pytest.mark.parametrize("methods", Q)
def test_the_critical_difference_is_the_one_printed(methods):
    scale = np.sqrt(methods * (methods + 1) / (6 * 14))
    assert critical_difference(methods, 14) / scale == pytest.approx(Q[methods], abs=1e-3)


def test_friedman_and_average_ranks_follow_their_definition():
    values = np.random.default_rng(1).normal(size=(7, 5)) + np.arange(5)
    ranks = np.array([[(row >= value).sum() for value in row] for row in values])
    statistic = 12 * 7 / (5 * 6) * ((ranks.mean(axis=0) ** 2).sum() - 5 * 36 / 4)
    found = ranked(values)
    np.testing.assert_allclose(found.average, ranks.mean(axis=0))
    assert found.friedman == pytest.approx(chi2.sf(statistic, 4))


def test_methods_that_are_always_level_share_a_rank():
    found = ranked([[70, 70, 70], [80, 80, 80 + 1e-12]])
    assert found.average.tolist() == [2, 2, 2]
    assert found.friedman == 1


@pytest.mark.parametrize("shape", [(1, 5), (4, 2)])
def test_too_few_networks_or_methods_are_refused(shape):
    with pytest.raises(MetricError, match="three methods on two networks"):
        ranked(np.zeros(shape))


def test_sign_flips_are_those_of_scipy():
    random = np.random.default_rng(3)
    first, second = random.normal(0.4, 1, size=(2, 9, 6)).round(1)  # rounded, so that patterns tie
    found = sign_flip(first - second)
    for column in range(6):
        exact = permutation_test(
            (first[:, column], second[:, column]),
            lambda a, b, axis: np.mean(a - b, axis=axis),
            permutation_type="samples",
            n_resamples=np.inf,
        )
        assert found[column] == pytest.approx(exact.pvalue, rel=1e-12)


def test_many_networks_are_drawn_close_to_the_exact_value():
    differences = np.random.default_rng(2).normal(0.2, 1, size=(20, 1))
    (exact,) = sign_flip(differences)
    (drawn,) = sign_flip(np.vstack([differences, [[0.0]]]))  # a network without difference changes no p
    assert drawn == pytest.approx(exact, abs=0.002)


@pytest.mark.parametrize("networks", [2, 3, 6])
def test_the_least_p_is_reached_where_all_networks_agree(networks):
    assert sign_flip(np.full((networks, 1), 1.5)) == pytest.approx([least_p(networks)])


@pytest.mark.parametrize("tests", [1, 4, 43])
def test_the_networks_that_are_needed_are_the_fewest(tests):
    n = networks_needed(tests)
    assert least_p(n) * tests < 0.05 <= least_p(n - 1) * tests


def test_cliques_are_the_largest_groups_within_the_critical_difference():
    assert cliques([1, 2, 3, 5, 9], 2.0) == [(0, 2), (2, 3)]
    assert cliques([1, 2, 3], 0.5) == []
    assert cliques([1, 2, 3], 2.0) == [(0, 2)]
