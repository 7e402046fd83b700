import numpy as np
import pytest
import torch
from pytorch_ood.detector import Gram

from ood_bench.scoring.gram import Bounds, GramDeviation, gram_rows

RANDOM = np.random.default_rng(0)


def maps(*shape):
    return torch.from_numpy(RANDOM.normal(size=shape).astype(np.float32))


def slow_rows(one, powers):
    """Statistics of a map ``[C, P]`` from whole Gram matrices."""
    found = []
    for power in powers:
        sums = ((one**power) @ (one**power).T).sum(axis=1)
        found += [np.sign(value) * abs(value) ** (1 / power) for value in sums]
    return found


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("powers", [[1], [2, 5], list(range(1, 11))])
def test_rows_against_whole_matrices_and_pytorch_ood(powers, layout):
    tap = maps(5, 4, 3, 2).to(memory_format=layout)
    ours = gram_rows(tap, powers)
    expected = [slow_rows(one.flatten(1).double().numpy(), powers) for one in tap]
    np.testing.assert_allclose(ours, expected, rtol=1e-6)
    theirs = torch.cat([Gram._gram_vector(tap.double(), power) for power in powers], dim=1)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_a_tap_without_positions_is_a_map_of_one():
    tap = maps(5, 4)
    torch.testing.assert_close(gram_rows(tap, [1, 3]), gram_rows(tap[:, :, None, None], [1, 3]), rtol=0, atol=0)


def test_powers_of_large_and_small_values_stay_finite():
    """Float32 does not hold the product of two tenth powers of 10,000, nor of 0.0001."""
    ones = torch.ones(1, 3, 2, 2)
    expected = (12**0.1 * np.array([1e8, 1e-8])).reshape(2, 1) * np.ones((2, 3))
    np.testing.assert_allclose(gram_rows(torch.cat([ones * 1e4, ones * 1e-4]), [10]), expected, rtol=1e-6)


@pytest.mark.parametrize("at_once", [1, 1 << 22])
def test_deviations_against_the_definition_and_pytorch_ood(at_once, monkeypatch):
    monkeypatch.setattr("ood_bench.scoring.gram._VALUES", at_once)
    known, tap = maps(30, 4, 3, 2), 1.5 * maps(6, 4, 3, 2)
    rows, labels = gram_rows(known, [1, 2, 3]).numpy(), np.arange(30) % 3
    learned = Bounds(3)
    for part in range(0, 30, 7):
        learned.add(rows[part : part + 7], labels[part : part + 7])
    low, high = learned.values
    np.testing.assert_array_equal(low, [rows[labels == label].min(axis=0) for label in range(3)])
    np.testing.assert_array_equal(high, [rows[labels == label].max(axis=0) for label in range(3)])
    ours = GramDeviation((1, 2, 3), learned.values)(tap)
    expected = np.zeros((6, 3))
    for row, g in enumerate(gram_rows(tap, [1, 2, 3]).numpy()):
        for label in range(3):
            for value, least, most in zip(g, low[label], high[label], strict=True):
                expected[row, label] += max(least - value, 0) / abs(least + 1e-6)
                expected[row, label] += max(value - most, 0) / abs(most + 1e-6)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)
    for label in range(3):
        theirs = Gram._deviation(gram_rows(tap, [1, 2, 3]), torch.from_numpy(low[label]), torch.from_numpy(high[label]))
        np.testing.assert_allclose(ours[:, label], theirs, rtol=1e-5)


def test_rows_that_made_the_bounds_deviate_from_their_own_class_by_nothing():
    known, labels = maps(30, 4, 3, 2), np.arange(30) % 3
    learned = Bounds(3)
    learned.add(gram_rows(known, [1, 4]).numpy(), labels)
    found = GramDeviation((1, 4), learned.values)(known).numpy()
    assert (found[np.arange(30), labels] == 0).all()
    assert (found > 0).mean() > 0.3  # from the other two classes


def test_deviations_are_told_apart_by_powers_and_bounds():
    one = np.zeros((2, 3, 4))
    kinds = [GramDeviation((1,), one), GramDeviation((2,), one), GramDeviation((1,), one + 1)]
    assert len({kind.key for kind in kinds}) == len(set(kinds)) == 3
    assert GramDeviation((1,), one.copy()) == kinds[0]
