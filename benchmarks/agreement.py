"""Whether two libraries' scores for the same images are the same."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """Our scores held against another library's.

    Attributes:
        difference: largest difference between two scores of one image.
        unit: what ``difference`` is in: ``of the range`` of our scores, or ``points``.
        rank_correlation: Spearman's; not a number where one side is constant.
        tolerance: what ``difference`` may be where both mean the same, or none where the definitions differ.
        why: what differs, and so explains the difference.
    """

    difference: float
    unit: str
    rank_correlation: float
    tolerance: float | None
    why: str

    @property
    def verdict(self) -> str:
        """``agree``, ``DIFFER`` (one of the two is wrong) or ``other definition``."""
        if self.tolerance is None:
            return "other definition"
        return "agree" if self.difference <= self.tolerance else "DIFFER"


def agreement(
    ours: npt.ArrayLike, theirs: npt.ArrayLike, *, tolerance: float | None, why: str = "", points: bool = False
) -> Agreement:
    """Compares two arrays of the same shape and meaning.

    Args:
        ours: scores, or metrics in percent.
        theirs: the same from elsewhere, on the same scale.
        tolerance: see :class:`Agreement`.
        why: likewise.
        points: whether to give the difference as it is, and not as a share of the range of ours.

    Raises:
        ValueError: if the shapes differ or a number is not finite.

    >>> agreement([1.0, 2.0, 3.0], [1.0, 2.0, 3.5], tolerance=0.1).verdict
    'DIFFER'
    """
    first, second = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if first.shape != second.shape or not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError(f"scores of shapes {first.shape} and {second.shape} cannot be compared, or are not finite")
    difference, extent = float(np.abs(first - second).max()), 1.0 if points else float(np.ptp(first))
    share = difference / extent if extent else (0.0 if difference == 0 else float("inf"))
    rank = _spearman(first.ravel(), second.ravel())
    return Agreement(share, "points" if points else "of the range", rank, tolerance, why)


def _spearman(first: Array, second: Array) -> float:
    one, other = rankdata(first), rankdata(second)
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])
