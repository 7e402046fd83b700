"""Each paper's convention, taken apart into choices, is that convention."""

import numpy as np
import pytest

from ood_bench.explain.numbers import number
from ood_bench.explain.ranked import Ranked
from ood_bench.explain.rules import asked, rules_of
from ood_bench.metrics import MetricError, evaluate
from ood_bench.metrics.conventions import CONVENTIONS

OPTIONS = {
    "odin": [
        {"row": "msp", "classes": 10},
        {"row": "odin", "classes": 100, "grid": "data"},
        {"row": "msp", "classes": 10, "grid": "data"},
    ],
}
CASES = [(name, options) for name in CONVENTIONS for options in OPTIONS.get(name, [{}])]


def _scores(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities above 0.1: distinct ones, ones with ties of both classes, and mostly ones that are 1."""
    random = np.random.default_rng(7)
    ids, oods = random.beta(5, 1, 1000) * 0.9 + 0.1, random.beta(2, 1, 700) * 0.9 + 0.1
    if kind == "tied":
        return np.round(ids, 2), np.round(oods, 2)
    if kind == "sure":
        return np.where(ids > 0.8, 1.0, ids), np.where(oods > 0.8, 1.0, oods)
    return ids, oods


@pytest.mark.parametrize("kind", ["distinct", "tied", "sure"])
@pytest.mark.parametrize(("convention", "options"), CASES)
def test_a_convention_taken_apart_is_that_convention(convention, options, kind):
    ids, oods = _scores(kind)
    try:
        theirs = evaluate(convention, ids, oods, **options)
    except MetricError:
        assert kind != "distinct"  # ties leave ODIN's window empty
        with pytest.raises(MetricError):
            number(Ranked(ids, oods), asked("fpr95"), rules_of(convention, "fpr95", options))
        return
    for metric, value in theirs.items():
        wanted = asked(metric)
        mine = number(Ranked(ids, oods), wanted, rules_of(convention, metric, options))
        assert mine == pytest.approx(value, rel=1e-13, abs=1e-11), metric
        if wanted.family == "fpr":  # a rate is a quotient of counts, or a mean of such: no rounding differs
            assert mine == value, metric


@pytest.mark.parametrize("convention", sorted(set(CONVENTIONS) - {"odin", "eloc"}))
@pytest.mark.parametrize("seed", range(8))
def test_the_same_on_a_handful_of_rows(convention, seed):
    """Few rows with many ties, where recalls lie equally far from the level and full recall repeats."""
    random = np.random.default_rng(seed)
    ids, oods = random.integers(0, 6, random.integers(3, 25)), random.integers(0, 5, random.integers(3, 25))
    for metric, value in evaluate(convention, ids, oods).items():
        wanted = asked(metric)
        mine = number(Ranked(ids, oods), wanted, rules_of(convention, metric))
        assert mine == pytest.approx(value, abs=1e-11), metric
