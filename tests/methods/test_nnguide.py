import numpy as np
import pytest
import torch
from last_layer import learner, linear
from pytorch_ood.detector import NNGuide as Theirs
from scipy.special import logsumexp

from ood_bench.errors import ConfigError
from ood_bench.methods.nnguide import NnGuide

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(3, 8)), RANDOM.normal(size=3)
TRAIN, ROWS = RANDOM.normal(size=(100, 8)) + 1, RANDOM.normal(size=(40, 8))
learned = learner(NnGuide, TRAIN, WEIGHT, BIAS, share=1.0)


def slow(bank, k):
    """The formula, image by image."""

    def energy(row):
        return np.log(sum(np.exp(WEIGHT @ row + BIAS)))

    def cosine(a, b):
        return sum(a * b) / np.sqrt(sum(a * a) * sum(b * b))

    products = [sorted((energy(other) * cosine(row, other) for other in bank), reverse=True)[:k] for row in ROWS]
    return [energy(row) * np.mean(largest) for row, largest in zip(ROWS, products, strict=True)]


@pytest.mark.parametrize("k", [1, 10, 100])
@pytest.mark.parametrize("changes", [{}, {"definition": "pytorch_ood", "share": 0.01}])
def test_score_against_the_formula_and_pytorch_ood(k, changes):
    ours = learned(k=k, **changes).score(ROWS)
    np.testing.assert_allclose(ours, slow(TRAIN, k), rtol=1e-9, atol=1e-12)
    theirs = Theirs(None, linear(WEIGHT, BIAS).float(), k).fit_features(torch.from_numpy(TRAIN), torch.zeros(100))
    expected = -theirs.predict_features(torch.from_numpy(ROWS).float()).numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


def test_the_bank_is_a_share_of_the_training_images_drawn_by_the_seed():
    places = [learned(share=0.3, seed=seed)._bank for seed in (0, 0, 1)]
    np.testing.assert_array_equal(places[0], places[1])
    assert [len(bank) for bank in places] == [30, 30, 30]
    directions = TRAIN / np.linalg.norm(TRAIN, axis=1, keepdims=True)
    chosen = [np.abs(directions @ bank.T / np.linalg.norm(bank, axis=1)).argmax(axis=0) for bank in places]
    assert [len(set(rows)) for rows in chosen] == [30, 30, 30]
    assert set(chosen[0]) != set(chosen[2])
    assert set(chosen[0]) != set(range(30))
    openood = learned(share=0.3, k=4, definition="openood")
    np.testing.assert_allclose(openood.score(ROWS), slow(TRAIN[:30], 4), rtol=1e-9)
    assert openood.variant == "as openood"
    np.testing.assert_allclose(learned(share=0.3, k=4).score(ROWS), slow(TRAIN[chosen[0]], 4), rtol=1e-9)


def test_with_a_bank_of_one_it_is_two_energies_and_a_cosine():
    energy = logsumexp(np.vstack([ROWS, TRAIN[:1]]) @ WEIGHT.T + BIAS, axis=1)
    cosine = ROWS @ TRAIN[0] / np.linalg.norm(ROWS, axis=1) / np.linalg.norm(TRAIN[0])
    np.testing.assert_allclose(learned(TRAIN[:1], k=1).score(ROWS), energy[:-1] * energy[-1] * cosine, rtol=1e-9)


def test_a_rotation_of_the_features_changes_nothing():
    rotation, _ = np.linalg.qr(RANDOM.normal(size=(8, 8)))
    ours = learned(TRAIN @ rotation, WEIGHT @ rotation).score(ROWS @ rotation)
    np.testing.assert_allclose(ours, learned().score(ROWS), rtol=1e-8)


def test_features_of_norm_0_have_no_guide():
    np.testing.assert_array_equal(learned().score(np.zeros((1, 8))), [0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"share": 0.05}, r"the bank has 5 of 100 .*: set method\.nnguide\.share to 0\.1 or .*k to at most 5$"),
        ({"share": 0.001}, r"the bank has 0 of 100 ID training images: set method\.nnguide\.share to 0\.1$"),
        ({"k": 101}, r"k is 101, and the bank has 100 of 100 .*: set method\.nnguide\.k to at most 100$"),
    ],
)
def test_what_cannot_work_is_refused(changes, message):
    with pytest.raises(ConfigError, match=f"method nnguide: .*{message}"):
        learned(**changes)
