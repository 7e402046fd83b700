import numpy as np
import pytest
from last_layer import learner

from ood_bench.errors import ConfigError
from ood_bench.methods import cfood
from ood_bench.methods.cfood import CfOod

RANDOM = np.random.default_rng(0)
TRAIN, ROWS = RANDOM.normal(size=(300, 5)), RANDOM.normal(size=(60, 5)) + 0.5
LABELS = np.zeros(300, np.int64)
GRID = [*np.linspace(0.001, 0.1, 100), *np.linspace(0.105, 0.5, 81), *np.linspace(0.51, 0.99, 49)]
learned = learner(CfOod, TRAIN, labels=LABELS, share=0.5, rho=0.05)


def slow(share, rho):
    """The definition, image by image and share by share, as the authors' code has it."""
    count = int(300 * share)
    rows = TRAIN[np.random.RandomState(0).permutation(300)[:count]]
    reference = [row / np.linalg.norm(row) for row in rows]
    own = [sorted(((one - other) ** 2).sum() for other in reference) for one in reference]  # itself first
    places = [int(share * count - 1) for share in GRID]
    kept = [number for number in range(len(GRID)) if number == 0 or places[number] > places[number - 1]]
    scores = []
    for row in ROWS:
        far = [((row / np.linalg.norm(row) - one) ** 2).sum() for one in reference]
        enough = (
            GRID[number]
            for number in kept
            if sum(near[places[number] + 1] >= away for near, away in zip(own, far, strict=True)) / count >= rho
        )
        scores.append(-next(enough, 1.0))
    return scores


@pytest.mark.parametrize(("share", "rho"), [(0.5, 0.05), (1.0, 0.01), (0.1, 0.001), (0.5, 0.9), (1.0, 1.0)])
def test_score_against_the_formula(share, rho):
    np.testing.assert_allclose(learned(share=share, rho=rho).score(ROWS), slow(share, rho), rtol=1e-12)


def test_scores_do_not_depend_on_how_many_pairs_are_formed_at_a_time(monkeypatch):
    whole = learned().score(ROWS)
    monkeypatch.setattr(cfood, "_VALUES", 1000)
    np.testing.assert_array_equal(learned().score(ROWS), whole)


def test_rotated_and_scaled_features_leave_the_score():
    rotation = np.linalg.qr(RANDOM.normal(size=(5, 5)))[0]
    scale = RANDOM.uniform(0.1, 10, (300, 1))
    np.testing.assert_array_equal(learned(TRAIN @ rotation * scale).score(7 * ROWS @ rotation), learned().score(ROWS))


def test_an_image_that_no_neighbourhood_holds_scores_minus_1():
    """All training images point one way, and the image the other."""
    found = learned(np.abs(TRAIN) + np.array([100, 0, 0, 0, 0]))
    np.testing.assert_array_equal(found.score(np.array([[-1.0, 0, 0, 0, 0], [0, 0, 0, 0, 0]])), [-1, -1])


def test_the_seed_draws_the_reference():
    scores = [learned(share=0.1, seed=seed).score(ROWS) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.allclose(scores[0], scores[2])


def test_a_reference_of_one_image_is_refused():
    with pytest.raises(
        ConfigError, match=r"method cfood: the reference has 1 of 300 .*: set method\.cfood\.share higher"
    ):
        learned(share=0.005)
