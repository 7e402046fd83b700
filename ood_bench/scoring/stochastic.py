"""Stochastic passes: a network that keeps its dropout while it scores."""

import copy

import numpy as np
import torch
from torch import Tensor, nn

from ood_bench.data.views import Array, View
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.replay import Replay
from ood_bench.scoring.taps import full_precision
from ood_bench.utils.progress import ticking


def dropout_modules(network: nn.Module) -> list[nn.Module]:
    """All dropout layers of a network, of any kind."""
    kinds = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
    return [module for module in network.modules() if isinstance(module, kinds)]


def active(dropout: nn.Module) -> bool:
    """Whether a dropout layer has a rate above 0; torch draws no random numbers for the others."""
    return float(dropout.p) > 0  # type: ignore[arg-type]


def sample_passes(
    classifier: Classifier, view: View, passes: int, seed: int, batch_size: int, *, train_mode: bool
) -> Array:
    """Summary of repeated random passes.

    With ``train_mode`` every pass is a whole one, because each adapts the network for the next. Without it, passes
    share what comes before the first dropout layer (:class:`~ood_bench.scoring.replay.Replay`), with the same numbers
    to the bit. They are not joined to one larger batch: that would draw other numbers, and is no faster on a CPU.

    Args:
        classifier: the network; it is left as it is, the passes run on a copy.
        view: the images.
        passes: number of passes over each batch.
        seed: seeds torch's generators, so that the same view gives the same numbers.
        batch_size: images that go through together.
        train_mode: whether the whole network is in training mode, as in FSSD's first release, so that batch
            normalisation uses and goes on adapting the statistics of the scored batches; else only dropout is random.

    Returns:
        float64 ``[n, K + 1]``: the mean softmax over passes, then the variance over passes of the logit of the class
        with the largest mean logit.
    """
    network = copy.deepcopy(classifier.network)
    network.train(train_mode)
    for module in dropout_modules(network):
        module.train()
    replay = None if train_mode else Replay(network, [one for one in dropout_modules(network) if active(one)])
    done, rows = 0, np.empty((len(view), 0))
    with (
        ticking(f"{passes} random passes over {view.images.title}", len(view), "images") as ticker,
        torch.random.fork_rng(),
        full_precision(),
        torch.no_grad(),
    ):
        torch.manual_seed(seed)
        for batch in view.batches(batch_size):
            x = classifier.normalise(batch)
            runs = (network(x) for _ in range(passes)) if replay is None else replay.passes(x, passes)
            summary = _summary(torch.stack(list(runs)).double())
            if done == 0:  # one array made beforehand: see _RowWriter in passes.py
                rows = np.empty((len(view), summary.shape[1]))
            rows[done : done + len(x)] = summary
            done += len(x)
            ticker.advance(len(batch))
    return rows


def _summary(logits: Tensor) -> Array:
    """Rows ``[B, K + 1]`` from logits ``[passes, B, K]``; see :func:`sample_passes`."""
    mean = logits.softmax(dim=2).mean(dim=0)
    variance = logits.var(dim=0, unbiased=False).gather(1, logits.mean(dim=0).argmax(dim=1, keepdim=True))
    return torch.cat([mean, variance], dim=1).cpu().numpy()
