"""Row sums of Gram matrices of a map's powers, and how far they lie outside the bounds of each class."""

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ood_bench.scoring.quantities import Reduction

_VALUES = 1 << 22
_OFFSET = 1e-6


def gram_rows(tap: Tensor, powers: Sequence[int]) -> Tensor:
    """Row sums ``g_p = sum_j (F^p F^p')_ij`` of each power p, as ``sign(g) |g|^(1 / p)``.

    F is the map as a matrix ``[C, P]``, a column for each position, and the power is taken of each value. No matrix
    ``[C, C]`` is made: a row's sum is that of its products with the sum of all rows.

    Args:
        tap: ``[B, C, ...]``; a tap without positions counts as a map of one.
        powers: ascending, each at least 1.

    Returns:
        float32 ``[B, len(powers) * C]``, power by power, computed in float64.
    """
    maps = (tap.flatten(2) if tap.ndim > 2 else tap.unsqueeze(2)).double()
    ones = maps.new_ones(len(maps), 1, maps.shape[1])
    raised, found = maps.clone(), []
    for power in range(1, powers[-1] + 1):
        if power > 1:
            raised.mul_(maps)
        if power in powers:
            columns = torch.bmm(ones, raised)  # a product sums faster than `sum`
            sums = torch.bmm(raised, columns.transpose(1, 2)).squeeze(2)
            found.append(sums.sign() * sums.abs() ** (1 / power))
    return torch.cat(found, dim=1).float()


@dataclass(frozen=True, eq=False)
class GramDeviation(Reduction):
    """How far :func:`gram_rows` lie outside the bounds of each class: the sum of relative deviations.

    Attributes:
        powers: see :func:`gram_rows`.
        bounds: float64 ``[2, K, D]``: smallest and largest values of each class.
    """

    powers: tuple[int, ...]
    bounds: npt.NDArray[np.float64]

    @functools.cached_property
    def key(self) -> str:
        """Name that holds a hash of powers and bounds."""
        content = repr((self.powers, self.bounds.shape)).encode() + self.bounds.tobytes()
        return f"gram-{hashlib.sha256(content).hexdigest()[:16]}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GramDeviation) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __call__(self, tap: Tensor) -> Tensor:
        """Rows ``[B, K]``: ``sum_d max(low_d - g_d, 0) / |low_d + 1e-6| + max(g_d - high_d, 0) / |high_d + 1e-6|``."""
        bounds, weights = self._on(tap.device)
        rows = gram_rows(tap, self.powers)
        step = max(1, _VALUES // rows.numel())
        parts = []
        for first in range(0, bounds.shape[1], step):
            low, high = bounds[:, first : first + step, None]  # [k, 1, D]
            low_weights, high_weights = weights[:, first : first + step, :, None]  # [k, D, 1]
            under, over = (low - rows).clamp_(min=0), (rows - high).clamp_(min=0)  # [k, B, D]
            parts.append((under @ low_weights + over @ high_weights).squeeze(2))
        return torch.cat(parts).T

    def _on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Bounds and weights ``1 / |bound + 1e-6|`` on a device; moved once, not for every piece of a tap."""
        known: dict[torch.device, tuple[Tensor, Tensor]] = self.__dict__.setdefault("_moved", {})
        if device not in known:
            bounds = torch.from_numpy(self.bounds)
            weights = 1 / (bounds + _OFFSET).abs()
            known[device] = bounds.float().to(device), weights.float().to(device)
        return known[device]


class Bounds:
    """Smallest and largest rows of each class, updated batch after batch: no row is kept.

    Args:
        classes: K.

    Attributes:
        values: float64 ``[2, K, D]``; infinite for classes of which no row was taken in.
    """

    def __init__(self, classes: int) -> None:
        self.values = np.empty((2, classes, 0))

    def add(self, rows: npt.NDArray[np.float32], predicted: npt.NDArray[np.int64]) -> None:
        """Takes in rows ``[n, D]`` whose classes are ``predicted`` ``[n]``."""
        if self.values.shape[2] == 0:
            one = np.full((self.values.shape[1], rows.shape[1]), np.inf)
            self.values = np.stack([one, -one])
        low, high = self.values
        for label in np.unique(predicted):
            mine = rows[predicted == label]
            low[label] = np.minimum(low[label], mine.min(axis=0))
            high[label] = np.maximum(high[label], mine.max(axis=0))
