import numpy as np
import pytest

from ood_bench import metrics
from ood_bench.metrics import Measure, evaluate, intervals, measure
from ood_bench.metrics.curve import Curve, MetricError

GENERATOR = np.random.default_rng(0)
IDS, OODS = GENERATOR.normal(1, 1, 200).round(1), GENERATOR.normal(0, 1, 300).round(1)


def test_exact_convention_has_the_bootstrap_intervals() -> None:
    own, exacts = measure("exact", IDS, OODS, resamples=50, seed=3)
    bounds = intervals(Curve.of(IDS, OODS), resamples=50, seed=3)
    assert own == exacts
    assert exacts == {name: Measure(v, *bounds[name]) for name, v in evaluate("exact", IDS, OODS).items()}


def test_other_conventions_move_the_interval_of_their_twin() -> None:
    own, exacts = measure("fssd", IDS, OODS, resamples=50, seed=3)
    assert {name: found.value for name, found in own.items()} == evaluate("fssd", IDS, OODS, seed=3)
    for name, twin in (("auprc", "aupr_in"), ("fpr95", "fpr95"), ("tnr80", "tnr80")):
        found, exact = own[name], exacts[twin]
        shift = found.value - exact.value
        assert found.low == pytest.approx(exact.low + shift)
        assert found.high == pytest.approx(exact.high + shift)


def test_an_interval_that_would_lie_beyond_100_or_0_ends_there() -> None:
    """Few resamples may all lie on one side of the value that they are moved with."""
    assert metrics._moved(100.0, Measure(60.0, 70.0, 80.0)) == Measure(100.0, 100.0, 100.0)
    assert metrics._moved(0.0, Measure(40.0, 20.0, 30.0)) == Measure(0.0, 0.0, 0.0)


def test_no_resamples_no_intervals() -> None:
    own, exacts = measure("featurenorm", IDS, OODS, resamples=0)
    assert own["fpr95"] == Measure(evaluate("featurenorm", IDS, OODS)["fpr95"], None, None)
    assert all(found.low is found.high is None for found in exacts.values())


def test_options_reach_the_convention() -> None:
    ids = np.arange(100.0)
    own, _ = measure("odin", ids, OODS, resamples=0, row="msp", grid="data")
    expected = evaluate("odin", ids, OODS, row="msp", grid="data")
    assert {name: found.value for name, found in own.items()} == expected
    with pytest.raises(MetricError, match="its options are: row, classes, grid"):
        measure("odin", IDS, OODS)
