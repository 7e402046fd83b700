import numpy as np
import pytest

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.training.folds import known_classes, of_known_classes, split_known

ORDER_10 = [5, 4, 1, 2, 9, 6, 7, 0, 3, 8]
LEFT_OUT_100 = [
    "93 67 6 64 96 83 98 42 25 15 77 9 71 97 34 75 82 23 59 45",
    "73 12 8 4 79 86 17 65 47 50 30 5 13 31 88 11 58 85 32 40",
    "16 27 35 36 92 90 78 76 68 46 53 70 80 61 18 91 57 95 54 55",
    "28 52 84 89 49 87 37 48 33 43 7 62 99 29 69 51 1 60 63 2",
    "66 22 81 26 14 39 44 20 38 94 10 41 74 19 21 0 72 56 3 24",
]


def test_ten_classes_as_published():
    folds = known_classes(10, 5, 3)
    assert [sorted(set(range(10)) - set(known)) for known in folds] == [[4, 5], [1, 2], [6, 9], [0, 7], [3, 8]]
    assert folds[0] == (1, 2, 9, 6, 7, 0, 3, 8)  # the order of the outputs is not ascending
    for number, known in enumerate(folds):
        assert list(known) == ORDER_10[: 2 * number] + ORDER_10[2 * number + 2 :]


def test_a_hundred_classes_as_published():
    left_out = [list(map(int, line.split())) for line in LEFT_OUT_100]
    order = [one for block in left_out for one in block]
    for number, known in enumerate(known_classes(100, 5, 3)):
        assert list(known) == order[: 20 * number] + order[20 * number + 20 :]


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
