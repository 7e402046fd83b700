import math

import numpy as np
import pytest
import torch
from last_layer import learner
from pytorch_ood.detector import KNN

from ood_bench.errors import ConfigError
from ood_bench.methods import nearest
from ood_bench.methods.knn import Knn
from ood_bench.methods.nearest import kth_distances, largest_products

RANDOM = np.random.default_rng(0)
TRAIN, ROWS = RANDOM.random((70, 8)), RANDOM.random((30, 8))
learned = learner(Knn, TRAIN)


def slow(row, k):
    """The formula for one image."""

    def unit(values):
        length = math.sqrt(sum(value**2 for value in values)) + 1e-10
        return [value / length for value in values]

    one = unit(row)
    distances = [sum((a - b) ** 2 for a, b in zip(one, unit(other), strict=True)) for other in TRAIN.tolist()]
    return -sorted(distances)[k - 1]


@pytest.mark.parametrize("k", [1, 7, 70])
def test_score_against_the_formula_and_pytorch_ood(k):
    ours = learned(k=k).score(ROWS)
    np.testing.assert_allclose(ours, [slow(row, k) for row in ROWS.tolist()], rtol=1e-9)
    theirs = KNN(None, k=k).fit_features(torch.from_numpy(TRAIN), torch.zeros(70))
    np.testing.assert_allclose(ours, -(theirs.predict_features(torch.from_numpy(ROWS)).numpy() ** 2), rtol=1e-8)


@pytest.mark.parametrize("k", [1, 7, 70])
def test_pytorch_ood_before_0_4_did_not_normalise(k):
    """As version 0.4 does with ``normalize=False``."""
    theirs = KNN(None, k=k, normalize=False).fit_features(torch.from_numpy(TRAIN), torch.zeros(70))
    ours = learned(k=k, definition="pytorch_ood_0.3")
    np.testing.assert_allclose(ours.score(ROWS), -(theirs.predict_features(torch.from_numpy(ROWS)).numpy() ** 2))
    assert ours.variant == "as pytorch_ood_0.3"


def test_openoods_shift_by_1e_10_cancels():
    def shifted(rows):
        return rows / np.linalg.norm(rows, axis=1, keepdims=True) + 1e-10

    differences = shifted(ROWS)[:, None] - shifted(TRAIN)
    theirs = -np.sort((differences**2).sum(axis=2), axis=1)[:, 4]
    np.testing.assert_allclose(learned(k=5).score(ROWS), theirs, rtol=1e-6)


def test_the_squared_distance_is_2_minus_twice_the_cosine():
    cosines = (ROWS @ TRAIN.T) / np.linalg.norm(ROWS, axis=1)[:, None] / np.linalg.norm(TRAIN, axis=1)
    np.testing.assert_allclose(learned(k=3).score(ROWS), 2 * np.sort(cosines, axis=1)[:, -3] - 2, rtol=1e-7)


def test_a_training_image_is_its_own_nearest_neighbour():
    np.testing.assert_array_equal(learned(k=1).score(TRAIN), np.zeros(70))


def test_neither_length_nor_a_rotation_of_the_features_counts():
    rotation, _ = np.linalg.qr(RANDOM.normal(size=(8, 8)))
    lengths = RANDOM.uniform(0.5, 20, (30, 1))
    ours = learned(TRAIN @ rotation, k=5).score(lengths * ROWS @ rotation)
    np.testing.assert_allclose(ours, learned(k=5).score(ROWS), rtol=1e-8)


def test_features_of_norm_0_have_distance_1_from_all_others():
    np.testing.assert_allclose(learned(k=5).score(np.zeros((1, 8))), [-1], rtol=1e-9)


def test_a_bank_with_fewer_images_than_k_is_refused():
    with pytest.raises(
        ConfigError, match=r"method knn: k is 71, and there are 70 .*: set method\.knn\.k to at most 70"
    ):
        learned(k=71)


@pytest.mark.parametrize("count", [1, 6, 40])
def test_a_search_in_pieces_finds_what_sorting_does(count, monkeypatch):
    monkeypatch.setattr(nearest, "_ROWS", 7)
    monkeypatch.setattr(nearest, "_BANK", 16)
    products = ROWS @ TRAIN.T
    values, places = largest_products(ROWS, TRAIN, count)
    np.testing.assert_allclose(values, -np.sort(-products, axis=1)[:, :count], rtol=1e-12)
    np.testing.assert_array_equal(places, np.argsort(-products, axis=1)[:, :count])


def test_no_product_with_the_whole_bank_is_formed(monkeypatch):
    sizes, topk = [], torch.Tensor.topk

    def watched(values, *args, **options):
        sizes.append(values.numel())
        return topk(values, *args, **options)

    monkeypatch.setattr(torch.Tensor, "topk", watched)
    largest_products(np.zeros((1100, 1)), np.zeros((40000, 1)), 50)
    assert max(sizes) == 512 * 16384


def test_candidates_are_those_for_which_there_are_enough_images():
    assert [one["k"] for one in Knn().candidates()] == [50, 100, 200, 500, 1000]
    assert learned(k=50).candidates() == [{"k": 50}]
    assert learned(TRAIN[:40], k=1).candidates() == [{}]


@pytest.mark.parametrize("bank_rows", [7, 64, 16384])
@pytest.mark.parametrize(("k", "unit"), [(1, True), (5, False), (40, True), (40, False)])
def test_the_kth_distance_is_that_of_all_differences(monkeypatch, bank_rows, k, unit):
    """Also where many rows of the bank are equal, and where distances are too close for float32."""
    monkeypatch.setattr(nearest, "_BANK", bank_rows)
    random = np.random.default_rng(k)
    centre = random.normal(size=6)
    bank = np.vstack(
        [random.normal(size=(30, 6)), centre + 1e-7 * random.normal(size=(30, 6)), np.tile(centre, (9, 1))]
    )
    rows = np.vstack([random.normal(size=(600, 6)), centre + 1e-7 * random.normal(size=(5, 6)), bank[:3]])
    if unit:
        bank, rows = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (bank, rows))
    expected = np.sort(((rows[:, None] - bank) ** 2).sum(axis=2), axis=1)[:, k - 1]
    np.testing.assert_allclose(kth_distances(rows, bank, k), expected, rtol=1e-12, atol=1e-30)
    assert kth_distances(rows[:0], bank, k).shape == (0,)
