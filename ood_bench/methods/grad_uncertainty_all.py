"""Gradient uncertainty over all weights of the network."""

from dataclasses import dataclass

from ood_bench.methods.grad_uncertainty import GradUncertainty
from ood_bench.methods.weight_gradients import WeightGradientsDetector


@dataclass
class GradUncertaintyAll(WeightGradientsDetector):
    """Squared L2 norm of the gradient of ``-sum_k log p_k`` with respect to all weights; p is the softmax.

    The loss is the binary cross entropy between p and a label of ones. All weights are the network's parameters, those
    of batch norms and all biases among them. The part of the last layer alone is method ``grad_uncertainty``.

    Differences: none from pytorch-ood 0.4, which adds the norms of all parameters up in the same way. The paper trains
    a small network on them, one a parameter, for ID and OOD images, so that it learns what is high for which. OpenOOD
    has no such detector.
    """

    norm = 1
    source = GradUncertainty.source

    def deviations(self) -> list[str]:
        """What takes the place of the paper's classifier."""
        return [
            "The score is the squared norm of all weights' gradients; the paper trains a classifier on the norms of "
            "each with OOD images."
        ]
