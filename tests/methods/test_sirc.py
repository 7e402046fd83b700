import numpy as np
import pytest
from last_layer import learner
from scipy.special import softmax

from ood_bench.errors import ConfigError
from ood_bench.methods.knn import Knn
from ood_bench.methods.nearest import drawn_bank
from ood_bench.methods.residual import Residual
from ood_bench.methods.sirc import Sirc

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(3, 8)), RANDOM.normal(size=3)
TRAIN, ROWS = RANDOM.normal(size=(100, 8)) + 1, RANDOM.normal(size=(40, 8)) * 2
learned = learner(Sirc, TRAIN, WEIGHT, BIAS, share=0.5)


def second(kind, rows):
    """S2 by the methods themselves."""
    if kind == "norm":
        return np.array([sum(abs(row)) for row in rows])
    found = Residual(4) if kind == "residual" else Knn(10)
    found.weight, found.bias = WEIGHT, BIAS
    known = TRAIN[drawn_bank(100, 0.5, 10, 0, "sirc")] if kind == "knn" else TRAIN
    found.learn(known, np.zeros(len(known), np.int64))
    return found.score(rows)


def first(kind, row):
    """S1 and its largest possible value."""
    p = softmax(WEIGHT @ row + BIAS)
    return {"msp": (max(p), 1), "entropy": (sum(p * np.log(p)), 0), "doctor": (sum(p**2), 1)}[kind]


@pytest.mark.parametrize("s1", ["msp", "entropy", "doctor"])
@pytest.mark.parametrize("s2", ["norm", "residual", "knn"])
def test_score_against_the_formula(s1, s2):
    known = second(s2, TRAIN)
    a, b = np.mean(known) - 3 * np.std(known), 1 / np.std(known)
    expected = []
    for row, other in zip(ROWS, second(s2, ROWS), strict=True):
        value, largest = first(s1, row)
        expected.append(-np.log(largest - value) - np.log(1 + np.exp(-b * (other - a))))
    np.testing.assert_allclose(learned(s1=s1, s2=s2).score(ROWS), expected, rtol=1e-8)


@pytest.mark.parametrize("s1", ["msp", "entropy", "doctor"])
def test_where_the_second_score_is_high_the_first_decides(s1):
    found = learned(s1=s1)
    found._mean = -1e9
    uncertainties = [first(s1, row)[1] - first(s1, row)[0] for row in ROWS]
    np.testing.assert_allclose(found.score(ROWS), -np.log(uncertainties), rtol=1e-9)


@pytest.mark.parametrize("s1", ["msp", "entropy", "doctor"])
def test_images_of_which_the_network_is_certain_have_finite_scores_in_their_order(s1):
    found = learned(s1=s1)
    found._mean = -1e9
    found.logits = lambda gaps: np.column_stack([np.zeros(len(gaps)), -gaps[:, 0], -gaps[:, 0] - 1])
    gaps = np.array([[30.0], [50.0], [900.0], [1800.0]])
    scores = found.score(gaps)
    assert (np.diff(scores) > 15).all()
    if s1 != "entropy":  # that of two classes is p (1 + log(1 / p)) for a small p
        np.testing.assert_allclose(np.diff(scores), np.diff(gaps[:, 0]), rtol=1e-9)


def test_a_constant_added_to_the_logits_changes_nothing():
    found, moved = learned(s1="entropy"), learned(s1="entropy")
    moved.bias = BIAS + 50
    np.testing.assert_allclose(moved.score(ROWS), found.score(ROWS), rtol=1e-9)


def test_the_two_scores_are_in_the_methods_name():
    assert Sirc().variant == ""
    assert Sirc(s1="entropy", s2="knn").variant == "of entropy and knn"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"s2": "knn", "share": 0.05}, r"k is 10, and the bank has 5 of 100 .*: set method\.sirc\.share to 0\.1 or"),
        ({"s2": "residual", "dim": 8}, r"dim is 8, and the features have 8 values.*: set method\.sirc\.dim below 8"),
        ({"train": np.ones((20, 8))}, r"norm does not vary .*: choose another method\.sirc\.s2"),
    ],
)
def test_what_cannot_work_is_refused(changes, message):
    with pytest.raises(ConfigError, match=f"method sirc: .*{message}"):
        learned(**changes)
