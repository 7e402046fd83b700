"""Which rows of a test set go to fitting, to selection and to the final test."""

from dataclasses import dataclass

import numpy as np

from ood_bench.data.imageset import ImageSet
from ood_bench.data.views import View


@dataclass(frozen=True)
class Split:
    """Three disjoint parts of one test set.

    Attributes:
        fit: rows that a combination is fitted on.
        select: rows that settings are compared on.
        test: rows that are scored for the table.
    """

    fit: View
    select: View
    test: View


def legacy_permutation(seed: int, count: int) -> tuple[np.ndarray, np.random.RandomState]:
    """NumPy's legacy permutation of ``count`` rows after seeding, and the generator in the state that it leaves."""
    random = np.random.RandomState(seed)
    return random.permutation(list(range(count))).astype(np.int64), random


def split_rows(images: ImageSet, order: np.ndarray, fit: int, select: int, most: int | None = None) -> Split:
    """Cuts an order of rows into the first ``fit``, the next ``select``, and the rest.

    Args:
        images: the test set.
        order: int64 ``[N]`` row numbers.
        fit: number of rows to fit on.
        select: number of rows to select on.
        most: upper bound on the number of test rows, which keeps the first ones; none for all.
    """
    test = order[fit + select :][:most]
    return Split(View(images, order[:fit]), View(images, order[fit : fit + select]), View(images, test))
