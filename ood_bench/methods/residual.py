"""Residual: length of the features outside the principal space of the training images."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array
from ood_bench.methods.posthoc import HeadDetector
from ood_bench.methods.ranges import Whole
from ood_bench.papers.methods import Source


@dataclass(frozen=True)
class ResidualSpace:
    """The directions in which features of training images extend least.

    Attributes:
        origin: u ``[D]``, float64, from which features are measured.
        axes: float64 ``[D, D - dim]``, orthonormal columns.
    """

    origin: Array
    axes: Array

    @classmethod
    def fit(cls, features: Array, weight: Array, bias: Array, dim: int, method: str) -> "ResidualSpace":
        """Leaves out the ``dim`` largest principal directions of features ``[N, D]`` about ``u = -pinv(W) b``.

        Directions are eigenvectors of the second moment about u, not of the covariance.

        Args:
            features: of the ID training images.
            weight: W ``[K, D]`` of the last layer.
            bias: b ``[K]``.
            dim: how many directions are principal; 0 for :func:`principal_dim`.
            method: for messages.

        Raises:
            ConfigError: if no direction is left, or the training images do not extend in those that are.
        """
        width = features.shape[1]
        dim = dim or principal_dim(width)
        if dim >= width:
            raise ConfigError(
                f"method {method}: dim is {dim}, and the features have {width} values, so that no direction is left",
                f"set method.{method}.dim below {width}, or to 0 for a dim by the features' width",
            )
        origin = -np.linalg.pinv(weight) @ bias
        centred = features - origin
        _, axes = np.linalg.eigh(centred.T @ centred / len(centred))  # smallest first
        space = cls(origin, axes[:, : width - dim])
        if space.norms(features).mean() <= 1e-10 * np.linalg.norm(centred, axis=1).mean():
            raise ConfigError(
                f"method {method}: features of the ID training images lie within {dim} directions, so that nothing but "
                "rounding is left",
                f"set method.{method}.dim lower, or use more training images than {dim}",
            )
        return space

    def norms(self, features: Array) -> Array:
        """Lengths ``[n]`` of what features ``[n, D]`` have in the space."""
        return np.asarray(np.linalg.norm((features - self.origin) @ self.axes, axis=1))


def principal_dim(width: int) -> int:
    """Dimension of the principal space for features of a width: the authors' 1,000 from 2,048 on, and 512 from 768 on.

    They have no smaller networks; half the width is what pytorch-ood takes there.
    """
    return 1000 if width >= 2048 else 512 if width >= 768 else width // 2


@dataclass
class Residual(HeadDetector):
    """``-||R (f - u)||``: f the features, ``u = -pinv(W) b``, R the directions beside the first ``dim`` principal ones.

    The paper has it as a baseline. Principal directions are the eigenvectors, by falling eigenvalue, of the second
    moment of ID training images about u.

    Differences: OpenOOD fits on ID validation images, which no method learns from here, with ``dim`` 512. pytorch-ood
    0.4 has no such detector; it is its ViM without the logits. Features below 768 values: see :func:`principal_dim`.

    Attributes:
        dim: how many principal directions are left out; 0 for the rule of the authors' code by the features' width.
    """

    dim: Whole = 0

    source = Source(
        title="ViM: Out-Of-Distribution with Virtual-logit Matching",
        authors="Wang et al.",
        venue="CVPR",
        year=2022,
        arxiv="2203.10807",
        code="github.com/haoqiwang/vim",
        licence="Apache-2.0",
    )

    def learn(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """The residual space; labels are not used."""
        self._space = ResidualSpace.fit(features, self.weight, self.bias, self.dim, "residual")

    def score(self, features: Array) -> Array:
        """Minus the length of the residual."""
        return -self._space.norms(features)
