"""LINe: only the units and weights that matter to the predicted class are kept."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array
from ood_bench.methods.ranges import Percentile, Positive
from ood_bench.methods.shaping import ShapingDetector
from ood_bench.papers.methods import Source
from ood_bench.utils.printable import listed


@dataclass
class Line(ShapingDetector):
    """A score of the logits of ``g = min(f, limit)``, by what matters to the class c that is predicted for g.

    f are the pooled features. How much unit d matters to class c is ``t_cd``, the mean of its first-order Taylor value
    ``W_cd f_d`` over the ID training images of class c, by their labels and before the limit. Kept are the units whose
    t_cd is above a percentile of t_c, and the weights W_kd whose ``|t_cd| W_kd`` is above a percentile of these K x D
    values. The bias stays.

    Differences: the authors' code gets t by a backward pass for each image, whose result is the product above. OpenOOD
    and pytorch-ood 0.4 do not have the method.

    Attributes:
        unit_percentile: share of the units that are removed, in percent, at least 0 and below 100. The authors take 90
            for CIFAR-10, 10 for CIFAR-100 and ImageNet.
        weight_percentile: share of the weights that are removed, likewise. The authors take 90 for CIFAR, 10 for
            ImageNet.
        limit: in units of the features. The authors take 1.0 for CIFAR's DenseNet and 0.8 for ImageNet's ResNet-50:
            numbers that belong to these networks.
    """

    unit_percentile: Percentile = 90.0
    weight_percentile: Percentile = 90.0
    limit: Positive = 1.0

    values_at_once: ClassVar[int] = 2**40  # what a class keeps is made once for all of its rows

    source = Source(
        title="LINe: Out-of-Distribution Detection by Leveraging Important Neurons",
        authors="Ahn, Park and Kim",
        venue="CVPR",
        year=2023,
        arxiv="2303.13995",
        code="github.com/YongHyun-Ahn/LINe-Out-of-Distribution-Detection-by-Leveraging-Important-Neurons",
        licence="MIT",
    )

    def prepare(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """How much units matter, ``t [K, D]``, and the edges above which units and weights are kept, ``[K]`` each.

        Raises:
            ConfigError: if a class has no training image.
        """
        counts = np.bincount(labels, minlength=len(self.weight))
        if missing := np.flatnonzero(counts == 0).tolist():
            raise ConfigError(
                f"method line: class {listed(map(str, missing))} has no training image",
                "train on images of every class, or leave the method out",
            )
        means = np.stack([features[labels == label].mean(axis=0) for label in range(len(self.weight))])
        self._matter = self.weight * means
        self._unit_edges = np.percentile(self._matter, self.unit_percentile, axis=1)
        self._weight_edges = [np.percentile(abs(one) * self.weight, self.weight_percentile) for one in self._matter]

    def shape(self, features: Array) -> Array:
        """Logits by what each image's predicted class keeps."""
        limited = np.minimum(features, self.limit)
        logits = self.logits(limited)
        predicted = logits.argmax(axis=1)
        for label in np.unique(predicted):
            matter, rows = self._matter[label], predicted == label
            kept = (abs(matter) * self.weight > self._weight_edges[label]) & (matter > self._unit_edges[label])
            logits[rows] = limited[rows] @ (self.weight * kept).T + self.bias
        return logits
