"""ViM: energy of the logits less a virtual logit, the scaled residual of the features."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Setting
from ood_bench.methods.posthoc import HeadDetector
from ood_bench.methods.ranges import Whole
from ood_bench.methods.residual import Residual, ResidualSpace


@dataclass
class Vim(HeadDetector):
    """``logsumexp(z) - alpha ||R (f - u)||`` of the logits ``z = W f + b``; residual R (f - u) as in :mod:`.residual`.

    ``alpha`` is the mean largest logit over the mean length of the residual, both over the ID training images: it
    brings the virtual logit ``alpha ||R (f - u)||`` to the size of the others. The score ranks as one minus the virtual
    logit's softmax probability does.

    Differences: OpenOOD takes ``dim`` 256 by default and tunes it over 256 and 1,000; pytorch-ood asks for it, takes
    half the width where it is wider, and computes in float32. Features below 768 values: see
    :func:`ood_bench.methods.residual.principal_dim`.

    Attributes:
        dim: how many principal directions are left out; 0 for the rule of the authors' code by the features' width.
    """

    dim: Whole = 0

    source = Residual.source
    published_grid: ClassVar = {"dim": [256, 1000]}

    def possible(self, setting: Setting) -> bool:
        """Whether the features have more values, so that a residual is left."""
        return not hasattr(self, "weight") or setting["dim"] < self.weight.shape[1]

    def learn(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """The residual space and alpha; labels are not used.

        Raises:
            ConfigError: if there is no residual, or the largest logits are not positive on average, so that a longer
                residual would mean ID.
        """
        self._space = ResidualSpace.fit(features, self.weight, self.bias, self.dim, "vim")
        largest = self.logits(features).max(axis=1).mean()
        if largest <= 0:
            raise ConfigError(
                f"method vim: the largest logit of ID training images is {largest:.3g} on average, and alpha must be "
                "above 0",
                "use method=residual or method=energy, which need no alpha",
            )
        self._alpha = largest / self._space.norms(features).mean()

    def score(self, features: Array) -> Array:
        """Energy less the virtual logit."""
        return np.asarray(logsumexp(self.logits(features), axis=1) - self._alpha * self._space.norms(features))
