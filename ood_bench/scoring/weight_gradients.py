"""Gradients of each image's loss with respect to all weights of a network, reduced to their norms at once."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from ood_bench.data.imageset import Array
from ood_bench.data.views import View
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.passes import refuse_not_finite
from ood_bench.scoring.taps import full_precision
from ood_bench.utils.progress import ticking

_BATCH = 64
Weights = dict[str, Tensor]
Loss = Callable[[Weights, Tensor], Tensor]


def weight_gradient_norms(classifier: Classifier, view: View, temperature: float = 1.0) -> Array:
    """Norms of the gradient of ``-sum_k log p_k`` with respect to all parameters, p the softmax of z / T.

    It is the network as trained that is differentiated, batch norms in evaluation mode, not the copy with folded
    weights. On a CPU images go through one by one: memory holds the gradients of one, and ``torch.func.vmap`` over
    several is no faster, since it makes a convolution for each of them. On a GPU it saves the launches of all but one.

    Args:
        classifier: the network; it is left as it is.
        view: the images.
        temperature: T.

    Returns:
        float64 ``[2, n]``: the L1 norm, and the square of the L2 norm.
    """
    network, norms, done = classifier.network, np.empty((2, len(view))), 0
    weights = {name: value.detach().requires_grad_() for name, value in network.named_parameters()}

    def loss(weights: Weights, x: Tensor) -> Tensor:
        return -(functional_call(network, weights, (x,)) / temperature).log_softmax(dim=1).sum()

    norms_of = one_by_one if classifier.device.type == "cpu" else together
    with (
        ticking(f"gradients of all weights for {view.images.title}", len(view), "images") as ticker,
        full_precision(),
        torch.enable_grad(),
    ):
        for batch in view.batches(_BATCH):
            part = norms[:, done : done + len(batch)]
            part[:] = norms_of(loss, weights, classifier.normalise(batch)).cpu().numpy()
            refuse_not_finite(classifier, view, "in gradients of its weights", part)
            done += len(batch)
            ticker.advance(len(batch))
    return norms


def one_by_one(loss: Loss, weights: Weights, images: Tensor) -> Tensor:
    """Norms of the gradient of each image's loss, float64 ``[2, n]``, by one backward pass an image."""
    found = []
    for x in torch.split(images, 1):
        gradients = torch.autograd.grad(loss(weights, x), list(weights.values()), allow_unused=True)
        found.append(_norms([one.unsqueeze(0) for one in gradients if one is not None]))
    return torch.cat(found, dim=1)


def together(loss: Loss, weights: Weights, images: Tensor) -> Tensor:
    """The same by one backward pass for all, whose memory holds every image's gradients."""
    fixed = {name: value.detach() for name, value in weights.items()}  # or the gradients would keep a graph
    gradients = vmap(grad(loss), in_dims=(None, 0))(fixed, images.unsqueeze(1))
    return _norms(list(gradients.values()))


def _norms(gradients: Sequence[Tensor]) -> Tensor:
    """L1 norm and squared L2 norm, float64 ``[2, n]``, of all gradients together, each with a row an image."""
    rows = [one.flatten(start_dim=1) for one in gradients]
    parts = [torch.stack([one.abs().sum(dim=1), one.square().sum(dim=1)]) for one in rows]
    return torch.stack(parts).double().sum(dim=0)
