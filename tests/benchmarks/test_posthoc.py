import numpy as np
import pytest

from benchmarks.posthoc import FOURTEEN, HEAVY, NEIGHBOURS, posthoc_methods, posthoc_rows, repeated
from benchmarks.subjects import embedded_subject
from ood_bench.utils.configs import options


def test_every_line_does_its_work_on_a_few_images(tmp_path):
    rows = posthoc_rows(embedded_subject(16), tmp_path, images=64, fitted=60, names=["msp", "energy", "react", "knn"])
    assert [row.limit for row in rows] == [1.25, 0.30, 0.08, 5.0, 0.15, 0.005, 0.04, 0.005, 0.005]
    found = [row.ours.run() for row in rows if row.limit != 5.0]
    assert [values.shape for values in found[:3]] == [(2, 4), (2, 4), (2, 3)]
    np.testing.assert_array_equal(found[0], found[1])
    assert found[3].shape == (80, 2)
    np.testing.assert_array_equal(found[0], np.hstack(found[4:]))


def test_a_method_with_work_of_its_own_has_a_line_with_its_fit(tmp_path):
    rows = posthoc_rows(embedded_subject(16), tmp_path, images=80, fitted=60, names=["msp", "adascale"])
    (line,) = [row for row in rows if "adascale" in row.name]
    assert (line.limit, line.ours.images) == (3.9, 28)  # a fifth of the images
    assert line.ours.run().shape == (2, 1)


def test_floors_are_of_shipped_methods():
    assert {method for method, _, _ in HEAVY.values()} <= set(options("method"))


def test_methods_of_the_last_map_and_of_steps_are_left_out():
    assert not {"adascale", "ash_map", "rankfeat", "scale_map"} & set(posthoc_methods())


def test_images_are_repeated_and_each_copy_is_another():
    images = embedded_subject(16).test
    many = repeated(images, 40)
    assert len(np.unique(many.images.reshape(40, -1), axis=0)) == 40
    np.testing.assert_array_equal(many.images[:16, 1:], many.images[16:32, 1:])


@pytest.mark.parametrize("name", [*NEIGHBOURS, *FOURTEEN])
def test_the_methods_that_are_named_are_shipped(name):
    assert name in posthoc_methods() or name in ("odin", "mahalanobis")
