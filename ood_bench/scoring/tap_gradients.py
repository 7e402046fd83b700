"""Activation times gradient at several taps, each pooled, from one forward and one backward pass."""

from collections.abc import Sequence

import numpy as np
import torch

from ood_bench.data.imageset import Rows32
from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.passes import refuse_not_finite
from ood_bench.scoring.quantities import OUTPUT, Mean
from ood_bench.scoring.taps import forward_to_all, full_precision
from ood_bench.utils.progress import ticking


def activation_times_gradient(
    classifier: Classifier, view: View, taps: Sequence[str], batch_size: int, *, summed: bool = False
) -> tuple[list[int], Rows32]:
    """Mean activation times mean gradient of every channel, both means over its positions.

    The gradient is that of ``-1/K sum_k log p_k``, the divergence of the softmax p from the uniform distribution but
    for a constant.

    Args:
        classifier: the network.
        view: the images.
        taps: names of taps.
        batch_size: images that go through together.
        summed: sums over positions in place of both means.

    Returns:
        Channels of each tap, and rows ``[n, sum of channels]``, the taps side by side in the order given.

    Raises:
        ConfigError: if the logits do not depend on a tap.
    """
    mean, rows, widths, done = Mean(), np.empty((0, 0), dtype=np.float32), [0], 0
    with (
        ticking(f"gradients at {len(taps)} taps for {view.images.title}", len(view), "images") as ticker,
        full_precision(),
        torch.enable_grad(),
    ):
        for batch in view.batches(batch_size):
            values = forward_to_all(classifier, classifier.normalise(batch).requires_grad_(), [*taps, OUTPUT])
            loss = -values[OUTPUT].log_softmax(dim=1).mean(dim=1).sum()
            inner = [values[tap] for tap in taps]
            gradients = torch.autograd.grad(loss, inner, allow_unused=True)
            parts = []
            for tap, value, gradient in zip(taps, inner, gradients, strict=True):
                if gradient is None:
                    raise ConfigError(
                        f"the logits do not depend on what tap {tap} gives: it is unused, or overwritten in place",
                        "choose another tap, such as the activation after it",
                    )
                product = mean(value.detach()).double() * mean(gradient).double()
                positions = value[0].numel() // product.shape[1]
                parts.append(product * positions**2 if summed else product)
            if done == 0:  # one array made beforehand: see _Rows in passes.py
                widths = [part.shape[1] for part in parts]
                rows = np.empty((len(view), sum(widths)), dtype=np.float32)
            part = rows[done : done + len(batch)]
            part[:] = torch.cat(parts, dim=1).float().cpu().numpy()
            refuse_not_finite(classifier, view, "in gradients at its taps", part)
            done += len(batch)
            ticker.advance(len(batch))
    return widths, rows
