"""RMDS++: relative Mahalanobis distance between features at unit length."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ood_bench.methods.base import Array
from ood_bench.methods.mahalanobis_pp import MAHALANOBIS_PP
from ood_bench.methods.rmds import Rmds
from ood_bench.methods.unit import unit_length


@dataclass
class RmdsPp(Rmds):
    """``rmds`` of the features at unit length, from whose training images both Gaussians are estimated too.

    Differences: the authors' code gives NaN for features that are all 0, which stay 0 here; its port to OpenOOD
    computes in float32. Directions without variance are left out, as for ``rmds``. pytorch-ood 0.4 has no such
    detector.
    """

    source = MAHALANOBIS_PP
    _what = "method rmds_pp: features at unit length"

    def learn(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """The Gaussians of the classes, and that of all images."""
        super().learn(unit_length(features), labels)

    def score(self, features: Array) -> Array:
        """How much nearer the nearest class is than the whole."""
        return super().score(unit_length(features))
