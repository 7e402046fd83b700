"""What one forward pass can leave behind for each image: the logits, and named taps in a reduced form."""

import functools
import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

OUTPUT = "output"
"""Name of the pseudo-tap that is the network's output."""


class Reduction(ABC):
    """Turns a tap ``[B, C, ...]`` into rows ``[B, D]`` while the pass goes on, so that no map is kept.

    Attributes:
        plain: whether it is float32 arithmetic that another library than torch may do.
    """

    plain: ClassVar[bool] = False

    @property
    @abstractmethod
    def key(self) -> str:
        """Name in cache files; equal keys mean equal results."""

    @abstractmethod
    def __call__(self, tap: Tensor) -> Tensor:
        """Rows ``[B, D]`` of a tap ``[B, C, ...]``."""


@dataclass(frozen=True)
class Flat(Reduction):
    """All values of the tap, in NCHW order; only for small image sets."""

    key: ClassVar[str] = "flat"
    plain: ClassVar[bool] = True

    def __call__(self, tap: Tensor) -> Tensor:
        """Rows ``[B, C * ...]``."""
        return tap.flatten(1)


@dataclass(frozen=True)
class Mean(Reduction):
    """Mean over the spatial positions of each channel; a tap without positions stays as it is."""

    key: ClassVar[str] = "mean"
    plain: ClassVar[bool] = True

    def __call__(self, tap: Tensor) -> Tensor:
        """Rows ``[B, C]``."""
        return tap.mean(dim=tuple(range(2, tap.ndim))) if tap.ndim > 2 else tap


@dataclass(frozen=True)
class RectifiedNorm(Reduction):
    """Mean over channels of the Euclidean norm, over all positions, of the tap's positive part: FeatureNorm's score.

    Source: Yu et al., arXiv 2212.02295. No division by the number of positions; the ReLU comes first because the
    blocks of pre-activation networks end in raw sums.
    """

    key: ClassVar[str] = "rectified-norm"
    plain: ClassVar[bool] = True

    def __call__(self, tap: Tensor) -> Tensor:
        """Rows ``[B, 1]``."""
        rectified = tap.clamp_min(0)
        positions = tuple(range(2, tap.ndim))
        norms = torch.linalg.vector_norm(rectified, dim=positions) if positions else rectified
        return norms.mean(dim=1, keepdim=True)


@dataclass(frozen=True, eq=False)
class Distance(Reduction):
    """Euclidean distance of the whole tap, unpooled, to one point.

    Attributes:
        centre: the point, float32, in the shape of one image's tap ``[C, ...]``.
    """

    centre: npt.NDArray[np.float32]
    plain: ClassVar[bool] = True

    @functools.cached_property
    def key(self) -> str:
        """Name that holds a hash of the point."""
        return f"distance-{hashlib.sha256(self.centre.tobytes()).hexdigest()[:16]}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Distance) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __call__(self, tap: Tensor) -> Tensor:
        """Rows ``[B, 1]``, differentiable."""
        channels_last = _is_channels_last(tap)
        rows = (tap.permute(0, 2, 3, 1) if channels_last else tap).flatten(1)
        return torch.linalg.vector_norm(rows - self._point(channels_last, tap.device), dim=1, keepdim=True)

    def _point(self, channels_last: bool, device: torch.device) -> Tensor:
        """The point ``[1, D]`` in the order in which taps lie in memory; made once, not for every piece of a tap."""
        known: dict[tuple[bool, torch.device], Tensor] = self.__dict__.setdefault("_points", {})
        if (channels_last, device) not in known:
            with torch.inference_mode(mode=False):  # it may be used in a pass with gradients later
                point = torch.from_numpy(self.centre).to(device)
                known[channels_last, device] = (point.permute(1, 2, 0) if channels_last else point).reshape(1, -1)
        return known[channels_last, device]


def _is_channels_last(tap: Tensor) -> bool:
    """Whether a tap can be flattened without a copy only with its channels last."""
    return tap.ndim == 4 and not tap.is_contiguous() and tap.is_contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Quantity:
    """One thing a pass leaves behind: a tap and how it is reduced.

    Attributes:
        tap: name of a tap, or :data:`OUTPUT`.
        reduction: how ``[B, C, ...]`` becomes ``[B, D]``.
    """

    tap: str
    reduction: Reduction

    @property
    def key(self) -> str:
        """File name of the quantity in a bank, without its suffix."""
        return f"{self.tap}-{self.reduction.key}"


LOGITS = Quantity(OUTPUT, Flat())
"""The logits ``[B, K]``."""
