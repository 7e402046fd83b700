"""SHE: likeness of the features to the stored pattern of the predicted class."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array
from ood_bench.methods.posthoc import HeadDetector
from ood_bench.papers.methods import Source
from ood_bench.utils.printable import listed


@dataclass
class She(HeadDetector):
    """``f . s_c``: f the features, c the predicted class, s_c the mean features of training images rightly put in c.

    It is the paper's simplified Hopfield energy, and ``test_score_ood_detection.py`` of its code.

    Differences: the paper's second row, with a step of 0.0014 on the input, is not offered (oodeel takes it by
    default), nor its HE, which sums over all stored images. OpenOOD and, by inner product, pytorch-ood compute the
    same; a class without rightly classified image is NaN in OpenOOD, and refused here and in pytorch-ood.

    Attributes:
        metric: ``inner_product``; or the other two of the paper's ablation: ``euclidean``, minus the distance, and
            ``cosine``, which is 0 where a vector is 0.
    """

    metric: Literal["inner_product", "euclidean", "cosine"] = "inner_product"

    source = Source(
        title="Out-of-Distribution Detection based on In-Distribution Data Patterns Memorization with Modern Hopfield "
        "Energy",
        authors="Zhang et al.",
        venue="ICLR",
        year=2023,
        url="https://openreview.net/forum?id=KkazG4lgKL",
        code="github.com/zjs975584714/SHE_ood_detection",
        licence="none stated",
    )

    def learn(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """The patterns ``[K, D]``.

        Raises:
            ConfigError: if a class has no training image that is classified rightly.
        """
        right = self.logits(features).argmax(axis=1) == labels
        counts = np.bincount(labels[right], minlength=len(self.weight))
        if missing := np.flatnonzero(counts == 0).tolist():
            raise ConfigError(
                f"method she: no training image of class {listed(map(str, missing))} is classified rightly",
                "train for longer, or leave the method out",
            )
        self._patterns = np.stack([features[right & (labels == label)].mean(axis=0) for label in range(len(counts))])

    def score(self, features: Array) -> Array:
        """Likeness to the predicted class's pattern."""
        patterns = self._patterns[self.logits(features).argmax(axis=1)]
        if self.metric == "euclidean":
            return -np.asarray(np.linalg.norm(features - patterns, axis=1))
        products = np.asarray((features * patterns).sum(axis=1))
        if self.metric == "inner_product":
            return products
        lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(patterns, axis=1)
        return np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
