"""KL matching: divergence of the softmax from the nearest class's typical softmax."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax, logsumexp

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array
from ood_bench.methods.posthoc import LogitsDetector
from ood_bench.papers.methods import Source


@dataclass
class KlMatching(LogitsDetector):
    """``-min_k KL(p || d_k)``, p the softmax of the image, d_k the mean softmax of ID images predicted as class k.

    The authors' repository github.com/hendrycks/anomaly-seg does not hold the method; ViM's authors have it,
    github.com/haoqiwang/vim, ``benchmark.py``. Labels are not used but by pytorch-ood's older definition.

    Differences: the paper takes the mean over validation images, as OpenOOD does; ViM's code and this one take the
    training images, the only ID images that a method may learn from. Classes that are predicted for none of them have
    no d_k and are left out, as in pytorch-ood 0.4; OpenOOD takes the one-hot vector, from which the divergence is
    infinite unless p has no other entry, and ViM's code gives NaN. pytorch-ood before 0.4 took true labels, and only
    the d_k of the predicted class (``definition=pytorch_ood_0.3``). Everything is computed from logarithms, so that no
    probability underflows.

    Attributes:
        definition: ``paper``, or ``pytorch_ood_0.3``.
    """

    definition: Literal["paper", "pytorch_ood_0.3"] = "paper"

    younger: ClassVar = frozenset({"definition"})

    source = Source(
        title="Scaling Out-of-Distribution Detection for Real-World Settings",
        authors="Hendrycks et al.",
        venue="ICML",
        year=2022,
        arxiv="1911.11132",
    )

    def deviations(self) -> list[str]:
        """Where typical distributions come from."""
        return ["Typical softmax vectors are means over ID training images; the paper takes validation images."]

    def learn(self, logits: Array, labels: npt.NDArray[np.int64], /) -> None:
        """Log of the mean softmax, ``[classes, K]``, of the classes that are predicted for some image.

        Raises:
            ConfigError: if a class has no image where labels are used.
        """
        log_p = log_softmax(logits, axis=1)
        groups = logits.argmax(axis=1) if self.definition == "paper" else labels
        found = np.unique(groups)
        if self.definition != "paper" and (missing := np.setdiff1d(np.arange(logits.shape[1]), found)).size:
            raise ConfigError(
                f"method kl_matching: no training image of class {missing[0]}",
                "set method.kl_matching.definition=paper, or use training images of every class",
            )
        means = [logsumexp(log_p[groups == label], axis=0) - np.log((groups == label).sum()) for label in found]
        self._log_typical = np.stack(means)

    def score(self, logits: Array) -> Array:
        """Minus the divergence from the nearest typical distribution, or from the predicted class's."""
        log_p = log_softmax(logits, axis=1)
        p = np.exp(log_p)
        if self.definition == "paper":
            found = (p @ self._log_typical.T).max(axis=1)
        else:
            found = (p * self._log_typical[logits.argmax(axis=1)]).sum(axis=1)
        return np.asarray(found - (p * log_p).sum(axis=1))
