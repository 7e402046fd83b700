"""ReAct: features are cut off at a threshold."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from ood_bench.methods.base import Array
from ood_bench.methods.shaping import ShapingDetector
from ood_bench.papers.methods import Source


@dataclass
class React(ShapingDetector):
    """A score of the logits of ``min(f, c)``: f the pooled features, c a percentile of all their values together.

    The percentile is that of the ID training images' features, all D values of all images in one row (section 3 of the
    paper: c at the p-th percentile of activations on ID data).

    Differences: the authors' code is given c as a number (1.0 for ImageNet's ResNet-50) that belongs to its percentile.
    OpenOOD takes the percentile over 1,000 ID validation images, and searches 85 to 99. pytorch-ood 0.4 takes it over,
    and cuts off, what its backbone gives: given a map, all its positions before pooling, which is another method (the
    mean of values cut off is not the mean cut off).

    Attributes:
        percentile: between 0 and 100; the paper takes 90.
    """

    percentile: Annotated[float, Field(ge=0, le=100)] = 90.0

    source = Source(
        title="ReAct: Out-of-distribution Detection With Rectified Activations",
        authors="Sun, Guo and Li",
        venue="NeurIPS",
        year=2021,
        arxiv="2111.12797",
        code="github.com/deeplearning-wisc/react",
        licence="none stated",
    )
    published_grid: ClassVar = {"percentile": [85.0, 90.0, 95.0, 99.0]}

    def prepare(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """The threshold; labels are not used."""
        self._limit = np.percentile(features, self.percentile)

    def shape(self, features: Array) -> Array:
        """Logits of the clipped features."""
        return self.logits(np.minimum(features, self._limit))
