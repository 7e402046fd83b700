"""i-ODIN: ODIN with a step on one element of the input."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from ood_bench.methods.grid import product
from ood_bench.methods.odin import Odin
from ood_bench.papers.methods import Source
from ood_bench.scoring.perturb import sign_of_largest


@dataclass
class Iodin(Odin):
    """Maximum softmax probability at temperature T after ODIN's step on a single element of the input.

    ``x'_j = x_j - epsilon * sign(g_j) / std`` with g the gradient of ``CE(z / T, argmax z)`` with respect to the
    normalised input and j the element (one channel of one pixel) where ``|g|`` is largest; all others stay.
    ``epsilon`` is in raw [0, 1] pixels. Without a step it is ODIN without one: MSP at T.

    Differences: none from the authors' code and OpenOOD's, which took it over, but that the softmax is kept in float64.
    The paper tunes T and epsilon on OOD images. pytorch-ood does not have it.

    Attributes:
        magnitudes: candidates for epsilon; the authors' code starts from 0.0014.
        temperatures: candidates for T; the authors' code starts from 1,000.
    """

    name = "iodin"
    source = Source(
        title="Image-based Outlier Synthesis With Training Data",
        authors="Regmi",
        venue="CVPR",
        year=2026,
        arxiv="2411.10794",
        code="github.com/sudarshanregmi/ASCOOD",
        licence="MIT",
    )
    published_grid: ClassVar = {"magnitudes": [0.0014, 0.0028], "temperatures": [1.0, 10.0, 100.0, 1000.0]}

    def rule(self, gradient: Tensor) -> Tensor:
        """The step's direction, 0 for all elements but one."""
        return sign_of_largest(gradient)

    def candidates(self) -> list[dict[str, Any]]:
        """The method's own candidates where it has several, else OpenOOD's eight; the authors' go on to 0.0098."""
        own, grid = self.grid(), self.published_grid
        return own if len(own) > 1 else product(epsilon=grid["magnitudes"], temperature=grid["temperatures"])
