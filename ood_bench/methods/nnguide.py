"""NNGuide: energy, guided by likeness to the nearest training images."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from ood_bench.methods.base import Array
from ood_bench.methods.nearest import drawn_bank, largest_products
from ood_bench.methods.posthoc import HeadDetector
from ood_bench.methods.ranges import Count, Share, Whole
from ood_bench.methods.unit import unit_length
from ood_bench.papers.methods import Source


@dataclass
class NnGuide(HeadDetector):
    """``E(x) * mean of the k largest g . (E_j g_j)``: E the energy logsumexp(z), g the features at unit length.

    j runs over a bank: ID training images drawn at random. The score of confident images that are unlike any of them is
    lowered.

    The defaults are those of the authors' code: a bank of 1 % of ImageNet, shuffled, and k 10.

    Differences: the authors' ResNet-50 clips its features first (ReAct), which is another method; the draw differs from
    theirs, which takes NumPy's global generator. OpenOOD takes k 100 and the *first* 1 % in file order, which is one
    class of sorted lists (``definition=openood k=100``; its bank goes on to the end of a batch), and its ``alpha``
    cannot be tuned. pytorch-ood takes all that it is given: ``definition=pytorch_ood``.

    Attributes:
        k: how many neighbours are averaged.
        share: share of the ID training images in the bank, above 0 and at most 1; 1 for pytorch-ood, whatever it is.
        seed: seeds the draw.
        definition: ``paper``, ``openood`` or ``pytorch_ood``.
    """

    k: Count = 10
    share: Share = 0.01
    seed: Whole = 0
    definition: Literal["paper", "openood", "pytorch_ood"] = "paper"

    younger: ClassVar = frozenset({"definition"})
    source = Source(
        title="Nearest Neighbor Guidance for Out-of-Distribution Detection",
        authors="Park, Jung and Teoh",
        venue="ICCV",
        year=2023,
        arxiv="2309.14888",
        code="github.com/roomo7time/nnguide",
        licence="Apache-2.0",
    )

    def learn(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """The bank ``E_j g_j``; labels are not used.

        Raises:
            ConfigError: if the bank has fewer images than ``k``.
        """
        share = 1.0 if self.definition == "pytorch_ood" else self.share
        drawn = drawn_bank(len(features), share, self.k, self.seed, "nnguide")
        rows = features[: len(drawn)] if self.definition == "openood" else features[drawn]
        self._bank = unit_length(rows) * self._energy(rows)[:, None]

    def score(self, features: Array) -> Array:
        """Guided energy."""
        products, _ = largest_products(unit_length(features), self._bank, self.k)
        return np.asarray(self._energy(features) * products.mean(axis=1))

    def _energy(self, features: Array) -> Array:
        return np.asarray(logsumexp(self.logits(features), axis=1))
