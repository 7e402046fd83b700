import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

from ood_bench.metrics import exact
from ood_bench.metrics.curve import MetricError
from ood_bench.metrics.paired import bootstrap_difference, delong, delong_of_means, holm, mean_auroc


def auc_matrix(ids, oods):
    """Every ID row against every OOD row: 1 above, 1/2 level, 0 below."""
    return (ids[:, None] > oods[None]) + 0.5 * (ids[:, None] == oods[None])


def slow_delong(first, second):
    """DeLong's covariance from the double sums, as the paper writes it."""
    kernels = [auc_matrix(*scores) for scores in (first, second)]
    values = [kernel.mean() for kernel in kernels]
    ten = np.cov([kernel.mean(axis=1) for kernel in kernels])
    one = np.cov([kernel.mean(axis=0) for kernel in kernels])
    covariance = ten / len(first[0]) + one / len(first[1])
    contrast = np.array([1, -1])
    error = np.sqrt(contrast @ covariance @ contrast)
    return *values, (values[0] - values[1]) / error, error


@pytest.fixture(params=[None, 1, 0])
def two(request):
    """Two methods on 60 ID and 45 OOD images, continuous or rounded to make many ties."""
    random = np.random.default_rng(7)
    hardness = random.normal(size=60), random.normal(size=45) - 1
    methods = [tuple(side + random.normal(scale=s, size=side.size) for side in hardness) for s in (0.4, 1.2)]
    if request.param is not None:
        methods = [tuple(np.round(side, request.param) for side in scores) for scores in methods]
    return methods


def test_delong_equals_the_double_sum(two):
    first, second, z, error = slow_delong(*two)
    found = delong(*two)
    np.testing.assert_allclose(found[:3], [100 * first, 100 * second, 100 * (first - second)], rtol=1e-12)
    np.testing.assert_allclose(found.z, z, rtol=1e-10)
    np.testing.assert_allclose(found.p, 2 * norm.sf(abs(z)), rtol=1e-9)
    half = 100 * norm.ppf(0.975) * error
    np.testing.assert_allclose([found.low, found.high], [found.difference - half, found.difference + half], rtol=1e-9)


def test_a_method_does_not_differ_from_itself(two):
    same = delong(two[0], two[0])
    assert (same.difference, same.z, same.p) == (0, 0, 1)
    assert bootstrap_difference(two[0], two[0], resamples=20) == (0, 0)


def test_a_certain_difference_has_p_zero():
    perfect, reversed_ = ([2.0, 3.0], [0.0, 1.0]), ([0.0, 1.0], [2.0, 3.0])
    found = delong(perfect, reversed_)
    assert (found.first, found.second, found.z, found.p) == (100, 0, np.inf, 0)


def test_a_resample_is_the_metric_of_the_drawn_rows(two):
    """With one resample both ends are that resample's difference, computed here from the drawn rows themselves."""
    for metric, slow in ((exact.auroc, roc_auc_score), (exact.aupr_in, average_precision_score)):
        random = np.random.default_rng(5)
        draws = [random.integers(0, n, size=n) for n in (60, 45)]
        truth = np.repeat([1, 0], [60, 45])
        one, other = (
            slow(truth, np.concatenate([side[rows] for side, rows in zip(scores, draws, strict=True)]))
            for scores in two
        )
        low, high = bootstrap_difference(*two, metric=metric, resamples=1, seed=5)
        assert low == high
        np.testing.assert_allclose(low, 100 * (one - other), atol=1e-9)


def test_both_intervals_agree_on_many_rows():
    random = np.random.default_rng(11)
    base = random.normal(size=2000) + 1, random.normal(size=2000)
    two = [tuple(side + random.normal(scale=s, size=side.size) for side in base) for s in (0.5, 1.0)]
    found = delong(*two)
    low, high = bootstrap_difference(*two, resamples=400)
    width = found.high - found.low
    assert abs(low - found.low) < 0.15 * width
    assert abs(high - found.high) < 0.15 * width


def test_unpaired_rows_are_refused():
    one, other = ([1.0, 2.0], [0.0, 0.5]), ([1.0, 2.0, 3.0], [0.0, 0.5])
    with pytest.raises(MetricError, match="2 and 3 ID scores: a paired test needs the same rows"):
        delong(one, other)
    with pytest.raises(MetricError, match="at least two"):
        delong(([1.0], [0.0, 0.5]), ([1.0], [0.0, 0.5]))
    with pytest.raises(MetricError, match="0 resamples"):
        bootstrap_difference(one, one, resamples=0)


def two_methods_on_three_sets():
    """Two methods on the same 50 ID images and on OOD sets of 20, 30 and 40; their ID scores differ by set."""
    random = np.random.default_rng(3)
    hardness = random.normal(size=50) + 1
    methods = [[], []]
    for size in (20, 30, 40):
        ood = random.normal(size=size)
        for method, noise in zip(methods, (0.5, 1.0), strict=True):
            method.append(tuple(side + random.normal(scale=noise, size=side.size) for side in (hardness, ood)))
    return methods


def test_means_over_sets_have_the_variance_of_their_double_sums():
    first, second = two_methods_on_three_sets()
    kernels = [[auc_matrix(*pair) for pair in method] for method in (first, second)]
    means = [np.mean([kernel.mean() for kernel in method]) for method in kernels]
    # one estimate of the ID rows' part from the mean kernel over sets, one of the OOD rows' part for each set
    ids = [np.mean([kernel.mean(axis=1) for kernel in method], axis=0) for method in kernels]
    oods = [[kernel.mean(axis=0) for kernel in method] for method in kernels]

    def error(id_part, ood_parts):
        return np.sqrt(np.var(id_part, ddof=1) / 50 + sum(np.var(o, ddof=1) / o.size for o in ood_parts) / 9)

    found = delong_of_means(first, second)
    expected = error(ids[0] - ids[1], [a - b for a, b in zip(*oods, strict=True)])
    assert (found.first, found.second) == pytest.approx([100 * mean for mean in means])
    assert found.z == pytest.approx((means[0] - means[1]) / expected)
    value, low, high = mean_auroc(first)
    half = 100 * norm.ppf(0.975) * error(ids[0], oods[0])
    assert (value, low, high) == pytest.approx((100 * means[0], 100 * means[0] - half, 100 * means[0] + half))


def test_the_interval_of_a_mean_holds_the_spread_of_repeated_draws():
    random = np.random.default_rng(0)
    draws = []
    for _ in range(400):
        ids = random.normal(size=60) + 1
        draws.append(mean_auroc([(ids, random.normal(size=40) * spread) for spread in (0.5, 1.0, 2.0)]))
    truth = np.mean([value for value, _, _ in draws])
    covered = np.mean([low <= truth <= high for _, low, high in draws])
    assert 0.92 <= covered <= 0.98


def test_holm_steps_down_and_never_falls():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.9, 0.8]), [1, 1])


def test_sets_with_other_id_rows_have_no_mean():
    first, _ = two_methods_on_three_sets()
    with pytest.raises(MetricError, match="same ID rows"):
        mean_auroc([first[0], (first[1][0][:-1], first[1][1])])
