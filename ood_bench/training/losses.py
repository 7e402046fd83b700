"""Training objectives as pure functions of logits."""

import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy of logits ``[B, K]`` and labels ``[B]``, in nats."""
    return F.cross_entropy(logits, labels)


def outlier_exposure(logits: Tensor, labels: Tensor, outlier_logits: Tensor, weight: float) -> Tensor:
    """Cross entropy on ID images plus ``weight`` times the outliers' cross entropy to the uniform distribution.

    The outlier term is ``logsumexp(z) - mean_k z_k``, averaged over the outliers.

    Source: Hendrycks, Mazeika and Dietterich, "Deep Anomaly Detection with Outlier Exposure", ICLR 2019; weight 0.5.

    Args:
        logits: ID logits ``[B, K]``.
        labels: ID labels ``[B]``.
        outlier_logits: logits ``[M, K]`` of the outliers.
        weight: weight of the outlier term.
    """
    uniform = (outlier_logits.logsumexp(dim=1) - outlier_logits.mean(dim=1)).mean()
    return cross_entropy(logits, labels) + weight * uniform
