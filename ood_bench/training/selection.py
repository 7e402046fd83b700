"""The choice of the epoch whose weights are kept, by telling validation images from ID images."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ood_bench.data.imageset import ImageSet
from ood_bench.data.views import Array, View

ROWS, SEED = 1000, 3
_BATCH = 256


def validation_view(images: ImageSet) -> View:
    """The first 1,000 rows of NumPy's legacy permutation with seed 3, or all of a smaller set."""
    return View(images, np.random.RandomState(SEED).permutation(len(images))[:ROWS].astype(np.int64))


def swept_auroc(id_scores: Array, ood_scores: Array) -> float:
    """AUROC as the unofficial implementation of the leave-out ensemble computes it while it trains.

    Thresholds are 0, 1 and every score plus 1e-4; a score at the threshold counts as accepted; rectangles take the
    ID rate at their left end.

    Args:
        id_scores: ``[N_id]`` maximum softmax probabilities.
        ood_scores: ``[N_ood]``, likewise.

    Returns:
        A share, not percent.
    """
    thresholds = np.unique(np.concatenate([[0.0, 1.0], id_scores + 1e-4, ood_scores + 1e-4]))
    tpr, fpr = (
        1 - np.searchsorted(np.sort(scores), thresholds, side="left") / len(scores)
        for scores in (id_scores, ood_scores)
    )
    return float(np.dot(-np.diff(fpr), tpr[:-1]))


@dataclass(frozen=True)
class MspSelector:
    """Judges a network by the AUROC of its maximum softmax probability at T = 1, without a step on the input.

    The ID images are test images of *all* classes: those of classes that a leave-out classifier does not know count as
    ID too. So the choice sees test images, and images that are foreign to the ID set.

    Source: unofficial implementation of the leave-out ensemble (arXiv 1809.03576).

    Attributes:
        inside: ID test images; 1,000 of them are used.
        outside: validation images; 1,000 of them are used.
        normalise: from uint8 images to network input.
    """

    inside: ImageSet
    outside: ImageSet
    normalise: Callable[[Tensor], Tensor]

    def __call__(self, network: torch.nn.Module) -> float:
        """AUROC as a share; the network is put into evaluation mode, and left so."""
        network.eval()
        return swept_auroc(*(self._scores(network, validation_view(images)) for images in (self.inside, self.outside)))

    def _scores(self, network: torch.nn.Module, view: View) -> Array:
        with torch.inference_mode():
            rows = [network(self.normalise(batch)).softmax(dim=1).amax(dim=1).cpu() for batch in view.batches(_BATCH)]
        return torch.cat(rows).double().numpy()
