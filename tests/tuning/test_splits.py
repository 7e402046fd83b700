import numpy as np
import pytest

from ood_bench.tuning.splits import legacy_permutation, split_rows


@pytest.mark.parametrize(("seed", "count"), [(42, 10), (42, 1000), (7, 11)])
def test_the_permutation_is_that_of_the_released_script(seed, count):
    """The script seeds NumPy's global generator and permutes a list of numbers."""
    saved = np.random.get_state()  # noqa: NPY002 - the legacy generator is the point
    np.random.seed(seed)  # noqa: NPY002
    expected = np.random.permutation(list(range(count)))  # noqa: NPY002
    after = np.random.randint(0, 255, 20, "uint8")  # noqa: NPY002
    np.random.set_state(saved)  # noqa: NPY002
    order, random = legacy_permutation(seed, count)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(order, expected)
    np.testing.assert_array_equal(random.randint(0, 255, 20, "uint8"), after)


def test_a_known_permutation():
    assert legacy_permutation(42, 10)[0].tolist() == [8, 1, 5, 0, 7, 2, 9, 4, 3, 6]


def test_the_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    legacy_permutation(42, 100)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize(("most", "kept"), [(None, 10), (3, 3), (10, 10), (99, 10)])
def test_three_parts_in_order(most, kept, toys):
    images, order = toys.image_set("near", 20), np.random.default_rng(0).permutation(20)
    split = split_rows(images, order, 6, 4, most)
    np.testing.assert_array_equal(split.fit.rows, order[:6])
    np.testing.assert_array_equal(split.select.rows, order[6:10])
    np.testing.assert_array_equal(split.test.rows, order[10 : 10 + kept])
    assert {id(view.images) for view in (split.fit, split.select, split.test)} == {id(images)}
