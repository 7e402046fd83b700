"""GradNorm over all weights of the network."""

from dataclasses import dataclass

from ood_bench.methods.gradnorm import GradNorm
from ood_bench.methods.ranges import Positive
from ood_bench.methods.weight_gradients import WeightGradientsDetector


@dataclass
class GradNormAll(WeightGradientsDetector):
    """L1 norm of the gradient of ``-sum_k log p_k`` with respect to all weights; p is the softmax of z / T.

    All weights are the network's parameters, those of batch norms and all biases among them. GradNorm itself is the
    part of the last layer's W, which needs no backward pass: method ``gradnorm``.

    Differences: this is what pytorch-ood 0.4 computes unless it is told to take one layer, times the number of classes,
    over which it averages. OpenOOD and the authors' code have the last layer only.

    Attributes:
        temperature: T; the paper finds 1 to be best.
    """

    temperature: Positive = 1.0

    norm = 0
    source = GradNorm.source

    def deviations(self) -> list[str]:
        """That it is not the paper's choice of weights."""
        return ["The gradient is that of all weights; the paper's method takes the last layer's."]
