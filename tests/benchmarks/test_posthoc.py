import numpy as np
import pytest

from benchmarks.posthoc import FOURTEEN, NEIGHBOURS, posthoc_methods, posthoc_rows, repeated
from benchmarks.subjects import embedded_subject


def test_every_line_does_its_work_on_a_few_images(tmp_path):
    rows = posthoc_rows(embedded_subject(16), tmp_path, images=64, fitted=60, names=["msp", "energy", "react", "knn"])
    assert [row.limit for row in rows] == [1.25, 0.30, 0.08, 5.0, 0.005, 0.04, 0.005, 0.005]
    found = [row.ours.run() for row in rows if row.limit != 5.0]
    assert [values.shape for values in found[:3]] == [(2, 4), (2, 4), (2, 3)]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], np.hstack(found[3:]))


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
