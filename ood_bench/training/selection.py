"""The choice of the epoch whose weights are kept, by telling validation images from ID images."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ood_bench.data.imageset import ImageSet, Rows32
from ood_bench.data.views import View
from ood_bench.models.softmax import max_softmax_float32

REVISION = 2
"""Raised whenever the rule comes to choose another epoch: classifiers that an older rule chose no longer count."""
ROWS, SEED = 1000, 3
_BATCH = 256


def validation_view(images: ImageSet) -> View:
    """The first 1,000 rows of NumPy's legacy permutation with seed 3, or all of a smaller set."""
    return View(images, np.random.RandomState(SEED).permutation(len(images))[:ROWS].astype(np.int64))


def swept_auroc(id_scores: npt.ArrayLike, ood_scores: npt.ArrayLike) -> float:
    """AUROC as the unofficial implementation of the leave-out ensemble computes it while it trains.

    Thresholds are 0, 1 and every score plus 1e-4, from the lowest to the highest; a score at the threshold counts as
    accepted, compared in float32. Each rectangle is as high as the share of accepted ID rows at its end, and the last
    one reaches an OOD share of 0. So scores that all lie within 1e-4 of each other give 0, not one half.

    Args:
        id_scores: ``[N_id]`` maximum softmax probabilities.
        ood_scores: ``[N_ood]``, likewise.

    Returns:
        A share, not percent.
    """
    inside, outside = (np.sort(np.asarray(scores, dtype=np.float32)) for scores in (id_scores, ood_scores))
    shifted = np.concatenate([inside, outside]).astype(np.float64) + 1e-4
    thresholds = np.unique(np.append(shifted, [0.0, 1.0])).astype(np.float32)
    tpr, fpr = (1 - np.searchsorted(scores, thresholds, side="left") / len(scores) for scores in (inside, outside))
    return float(np.dot(-np.diff(fpr), tpr[1:]) + fpr[-1] * tpr[-1])


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
        return swept_auroc(*(self.scores(network, validation_view(images)) for images in (self.inside, self.outside)))

    def scores(self, network: torch.nn.Module, view: View) -> Rows32:
        """Maximum softmax probability ``[n]`` of the view's images, the softmax in float32."""
        with torch.inference_mode():
            rows = [max_softmax_float32(network(self.normalise(batch))).cpu() for batch in view.batches(_BATCH)]
        return torch.cat(rows).numpy()
