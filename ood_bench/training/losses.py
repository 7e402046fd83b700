"""Training losses as pure functions of logits; :mod:`ood_bench.training.objectives` calls them."""

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


def mean_entropy(logits: Tensor) -> Tensor:
    """Mean over the batch of the softmax's entropy, in nats, of logits ``[B, K]``."""
    log_probabilities = logits.log_softmax(dim=1)
    return -(log_probabilities.exp() * log_probabilities).sum(dim=1).mean()


def margin_entropy(logits: Tensor, labels: Tensor, outlier_logits: Tensor, margin: float, beta: float) -> Tensor:
    """Cross entropy on ID images plus ``beta * max(0, margin + H(ID) - H(OOD))`` of the batches' mean entropies H.

    The hinge acts on means over the batch, not image by image: once the margin is met its gradient is 0.

    Source: Vyas et al., "Out-of-Distribution Detection Using an Ensemble of Self Supervised Leave-out Classifiers",
    arXiv 1809.03576; margin 0.4. The paper does not state beta; an unofficial implementation takes 0.2.

    Args:
        logits: ID logits ``[B, K]``.
        labels: ID labels ``[B]``.
        outlier_logits: logits ``[M, K]`` of the images that should have a high entropy.
        margin: nats by which the outliers' entropy should be higher.
        beta: weight of the hinge.
    """
    hinge = F.relu(margin + mean_entropy(logits) - mean_entropy(outlier_logits))
    return cross_entropy(logits, labels) + beta * hinge
