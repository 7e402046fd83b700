"""KL matching: divergence of the softmax from the nearest class's typical softmax."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax, logsumexp

from ood_bench.methods.base import Array
from ood_bench.methods.posthoc import LogitsDetector
from ood_bench.papers.methods import Source


@dataclass
class KlMatching(LogitsDetector):
    """``-min_k KL(p || d_k)``, p the softmax of the image, d_k the mean softmax of ID images predicted as class k.

    The authors' repository github.com/hendrycks/anomaly-seg does not hold the method; ViM's authors have it,
    github.com/haoqiwang/vim, ``benchmark.py``. Labels are not used.

    Differences: the paper takes the mean over validation images, as OpenOOD does; ViM's code and this one take the
    training images, the only ID images that a method may learn from. Classes that are predicted for none of them have
    no d_k and are left out, as in pytorch-ood 0.4; OpenOOD takes the one-hot vector, from which the divergence is
    infinite unless p has no other entry, and ViM's code gives NaN. pytorch-ood before 0.4 took true labels, and only
    the d_k of the predicted class. Everything is computed from logarithms, so that no probability underflows.
    """

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
        """Log of the mean softmax, ``[classes, K]``, of the classes that are predicted for some image."""
        log_p, predicted = log_softmax(logits, axis=1), logits.argmax(axis=1)
        self._log_typical = np.stack(
            [
                logsumexp(log_p[predicted == label], axis=0) - np.log((predicted == label).sum())
                for label in np.unique(predicted)
            ]
        )

    def score(self, logits: Array) -> Array:
        """Minus the divergence from the nearest typical distribution."""
        log_p = log_softmax(logits, axis=1)
        p = np.exp(log_p)
        return np.asarray((p @ self._log_typical.T).max(axis=1) - (p * log_p).sum(axis=1))
