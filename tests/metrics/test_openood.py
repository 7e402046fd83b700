import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc, precision_recall_curve, roc_curve

from ood_bench.metrics import openood

continuous = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=40)
tied = st.lists(st.integers(-2, 2).map(float), min_size=1, max_size=40)


def by_scikit_learn(ids: np.ndarray, oods: np.ndarray) -> dict[str, float]:
    """The calls of ``openood/evaluators/metrics.py``."""
    conf, is_ood = np.concatenate([ids, oods]), np.repeat([0, 1], [len(ids), len(oods)])
    fpr, tpr, _ = roc_curve(is_ood, -conf)
    precision_in, recall_in, _ = precision_recall_curve(1 - is_ood, conf)
    precision_out, recall_out, _ = precision_recall_curve(is_ood, -conf)
    return {
        "fpr95_ood_positive": 100 * fpr[np.argmax(tpr >= 0.95)],
        "auroc": 100 * auc(fpr, tpr),
        "aupr_in": 100 * auc(recall_in, precision_in),
        "aupr_out": 100 * auc(recall_out, precision_out),
    }


@settings(deadline=None)
@given(st.tuples(continuous, continuous) | st.tuples(tied, tied) | st.tuples(continuous, tied))
def test_it_agrees_with_the_calls_of_the_code_ties_included(pair: tuple[list[float], list[float]]) -> None:
    ids, oods = map(np.array, pair)
    assert openood.metrics(ids, oods) == pytest.approx(by_scikit_learn(ids, oods), abs=1e-9)


@pytest.mark.parametrize("places", [1, 2, 3])
def test_it_agrees_on_thousands_of_rows(places: int) -> None:
    random = np.random.default_rng(places)
    ids, oods = random.beta(5, 2, 3000).round(places), random.beta(2, 3, 2500).round(places)
    assert openood.metrics(ids, oods) == pytest.approx(by_scikit_learn(ids, oods), abs=1e-9)


def test_worked_by_hand() -> None:
    # OOD positive, from the lowest score: 0 is one OOD, 1 an OOD and an ID, 2 an ID.
    found = openood.metrics([2.0, 1.0], [1.0, 0.0])
    assert found["fpr95_ood_positive"] == 50.0
    assert found["auroc"] == 100 * 3.5 / 4
    # Precision over recall: (0, 1), (1/2, 1), (1, 2/3) both ways.
    assert found["aupr_in"] == found["aupr_out"] == pytest.approx(100 * (1 / 2 + (1 + 2 / 3) / 4))


def test_points_on_a_straight_line_are_left_out_as_scikit_learn_does() -> None:
    """Twenty thresholds that each accept one row of both: of the diagonal only the ends are left."""
    scores = np.arange(20.0)
    assert openood.metrics(scores, scores)["fpr95_ood_positive"] == 100.0
