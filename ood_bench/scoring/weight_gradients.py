"""Gradients of each image's loss with respect to all weights of a network, reduced to their norms at once."""

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from ood_bench.data.imageset import Array
from ood_bench.data.views import View
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.passes import refuse_not_finite
from ood_bench.scoring.taps import full_precision
from ood_bench.utils.progress import ticking

_BATCH = 64


def weight_gradient_norms(classifier: Classifier, view: View, temperature: float = 1.0) -> Array:
    """Norms of the gradient of ``-sum_k log p_k`` with respect to all parameters, p the softmax of z / T.

    It is the network as trained that is differentiated, batch norms in evaluation mode, not the copy with folded
    weights. Images go through one by one, so that memory holds the gradients of one; on a CPU that is also no slower
    than ``torch.func.vmap`` over several, which makes a convolution for each of them.

    Args:
        classifier: the network; it is left as it is.
        view: the images.
        temperature: T.

    Returns:
        float64 ``[2, n]``: the L1 norm, and the square of the L2 norm.
    """
    network, norms, done = classifier.network, np.empty((2, len(view))), 0
    weights = {name: value.detach().requires_grad_() for name, value in network.named_parameters()}
    with (
        ticking(f"gradients of all weights for {view.images.title}", len(view), "images") as ticker,
        full_precision(),
        torch.enable_grad(),
    ):
        for batch in view.batches(_BATCH):
            found = []
            for x in torch.split(classifier.normalise(batch), 1):
                loss = -(functional_call(network, weights, (x,)) / temperature).log_softmax(dim=1).sum()
                found.append(_norms(torch.autograd.grad(loss, list(weights.values()), allow_unused=True)))
            part = norms[:, done : done + len(batch)]
            part[:] = torch.stack(found, dim=1).cpu().numpy()
            refuse_not_finite(classifier, view, "in gradients of its weights", part)
            done += len(batch)
            ticker.advance(len(batch))
    return norms


def _norms(gradients: tuple[Tensor | None, ...]) -> Tensor:
    """L1 norm and squared L2 norm, float64 ``[2]``, of all gradients together; None is one of a weight without use."""
    parts = [torch.stack([one.abs().sum(), one.square().sum()]) for one in gradients if one is not None]
    return torch.stack(parts).double().sum(dim=0)
