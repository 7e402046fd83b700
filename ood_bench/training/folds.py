"""Leave-out classifiers: how the classes are split into groups, and the images that one classifier learns from."""

from collections.abc import Sequence

import numpy as np

from ood_bench.data.imageset import ImageSet, Labels, Rows
from ood_bench.errors import ConfigError


def known_classes(classes: int, folds: int, seed: int) -> list[tuple[int, ...]]:
    """For every fold the classes that its classifier learns, in the order of its outputs.

    NumPy's legacy generator permutes the classes; fold k leaves out the k-th of ``folds`` consecutive blocks of that
    order, and its outputs are the rest of it. The order is not ascending: output j is the j-th remaining class.

    Source: the unofficial implementation of the leave-out ensemble, with 5 folds and seed 3.

    Raises:
        ConfigError: if the classes cannot be split evenly, or a fold would learn fewer than two.
    """
    if folds < 2 or classes % folds or classes - classes // folds < 2:
        raise ConfigError(
            f"{classes} classes cannot be split into {folds} groups of equal size that leave two classes to learn: "
            f"choose a number of folds that divides {classes}"
        )
    order = [int(one) for one in np.random.RandomState(seed).permutation(classes)]
    size = classes // folds
    return [(*order[: fold * size], *order[(fold + 1) * size :]) for fold in range(folds)]


def split_known(labels: Labels, known: Sequence[int]) -> tuple[Rows, Labels, Rows]:
    """Rows of the known classes, their labels as outputs (positions in ``known``), and the other rows; in file order.

    Args:
        labels: int64 ``[N]``.
        known: the classes that are learned.
    """
    outputs = np.full(max(*known, int(labels.max())) + 1, -1, dtype=np.int64)
    outputs[list(known)] = np.arange(len(known))
    mapped = outputs[labels]
    inside = np.flatnonzero(mapped >= 0)
    return inside, mapped[inside], np.flatnonzero(mapped < 0)


def of_known_classes(images: ImageSet, known: Sequence[int] | None) -> ImageSet:
    """The images of the known classes, relabelled as outputs; the set itself where all classes are known."""
    if known is None or images.labels is None:
        return images
    rows, labels, _ = split_known(images.labels, known)
    return ImageSet.of(images.name, images.images[rows], labels, variant=images.variant)
