"""NCI: likeness of the centred features to the weights of the predicted class, and the features' length."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ood_bench.methods.base import Array
from ood_bench.methods.posthoc import HeadDetector
from ood_bench.methods.ranges import NotNegative
from ood_bench.papers.methods import Source


@dataclass
class Nci(HeadDetector):
    """``w_c . (f - mu_0) / ||f - mu_0|| + alpha ||f||_1``: c the predicted class, w_c its row of W.

    mu_0 is the mean of the features f over the ID training images. The first term is the cosine between w_c and the
    centred features times ||w_c||, which the paper leaves in.

    Differences: the authors' code is part of OpenOOD, so that the two are the same; pytorch-ood 0.4 has alpha 0 by
    default and searches 0 to 1. Features at the mean give NaN there; here the first term is 0 for them.

    Attributes:
        alpha: weight of the length, at least 0; the default is the authors' before they choose on validation images.
    """

    alpha: NotNegative = 1e-4

    source = Source(
        title="Detecting Out-of-Distribution Through the Lens of Neural Collapse",
        authors="Liu and Qin",
        venue="CVPR",
        year=2025,
        arxiv="2311.01479",
        code="github.com/litianliu/NCI-OOD",
        licence="MIT",
    )
    published_grid: ClassVar = {"alpha": [0.0001, 0.001, 0.01, 0.1]}

    def learn(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """Mean of the features; labels are not used."""
        self._mean = features.mean(axis=0)

    def score(self, features: Array) -> Array:
        """Likeness to the predicted class's weights, plus the weighted length."""
        centred = features - self._mean
        lengths = np.linalg.norm(centred, axis=1)
        products = np.einsum("nd,nd->n", centred, self.weight[self.logits(features).argmax(axis=1)])
        likeness = np.divide(products, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        return likeness + self.alpha * np.abs(features).sum(axis=1)
