import numpy as np
import pytest

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.training.folds import known_classes, of_known_classes, split_known


def test_the_seed_gives_another_split():
    assert known_classes(10, 5, 4) != known_classes(10, 5, 3)


@pytest.mark.parametrize(("classes", "folds"), [(10, 3), (10, 1), (2, 2), (4, 5)])
def test_uneven_splits_are_refused(classes, folds):
    with pytest.raises(ConfigError, match=rf"{classes} classes cannot be split into {folds} groups"):
        known_classes(classes, folds, 3)


def test_rows_and_outputs_of_known_classes():
    labels = np.array([3, 0, 1, 2, 3, 1])
    inside, outputs, outside = split_known(labels, (3, 1))
    assert (inside.tolist(), outputs.tolist(), outside.tolist()) == ([0, 2, 4, 5], [0, 1, 0, 1], [1, 3])
    images = ImageSet.of("toy", np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1), labels, variant="a copy")
    part = of_known_classes(images, (3, 1))
    assert (part.images.ravel().tolist(), part.labels.tolist()) == ([0, 2, 4, 5], [0, 1, 0, 1])
    assert part.title == "toy (a copy)"
    assert of_known_classes(images, None) is images
