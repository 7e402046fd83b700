"""Adversarial images of ID validation rows, which some papers tune on in place of OOD images."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Scorer, View
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.perturb import input_gradients, sign
from ood_bench.scoring.quantities import LOGITS
from ood_bench.scoring.taps import full_precision
from ood_bench.utils.progress import ticking

_BYTE = 255.0


def fgsm_images(scorer: Scorer, view: View, magnitude: float) -> ImageSet:
    """The view's images after one step that raises the classifier's cross entropy to the true class.

    ``x + magnitude * sign(gradient)`` in raw [0, 1] pixels with sign(0) = +1, brought back to their range and rounded
    to grey values. Made once for a network, its images and a magnitude.

    Source: Goodfellow et al., arXiv 1412.6572, as the Mahalanobis detector's code makes them (``ADV_Samples.py``).

    Args:
        scorer: its only, or first, classifier is attacked.
        view: images with labels.
        magnitude: length of the step.

    Raises:
        ConfigError: if the images have no labels.
    """
    images, classifier = view.images, scorer.classifier
    if images.labels is None:
        raise ConfigError(f"{images.title} has no labels, so that no adversarial images can be made of it")
    identity = {
        "method": "fgsm-1",
        "network": classifier.key,
        "view": view.fingerprint,
        "magnitude": magnitude,
        "device": classifier.device.type,
    }
    labels = images.labels if view.rows is None else images.labels[view.rows]
    batch_size = scorer.engine.batch_size(classifier)
    pixels = scorer.engine.cached("fgsm", identity, lambda: _stepped(classifier, view, labels, magnitude, batch_size))
    variant = f"FGSM, {magnitude:g}"
    return ImageSet.of(f"{images.name}_fgsm", pixels.astype(np.uint8), labels, variant=variant)


def _stepped(classifier: Classifier, view: View, labels: np.ndarray, magnitude: float, batch_size: int) -> Array:
    found = np.empty((len(view), *view.images.shape))
    done = 0
    with ticking(f"fgsm of {view.images.title}", len(view), "images") as ticker, full_precision():
        for batch in view.batches(batch_size):
            rows = slice(done, done + len(batch))
            target = torch.from_numpy(np.ascontiguousarray(labels[rows])).to(classifier.device)
            gradient = _gradient(classifier, batch, target)
            found[rows] = (batch + _BYTE * magnitude * sign(gradient).cpu()).clamp(0, _BYTE).round().numpy()
            done += len(batch)
            ticker.advance(len(batch))
    return found


def _gradient(classifier: Classifier, batch: Tensor, target: Tensor) -> Tensor:
    """Gradient of the cross entropy with respect to the normalised images; the std changes no sign.

    In float64 from the logits on: for confident images float32 leaves nothing but rounding.
    """

    def loss(logits: Tensor) -> Tensor:
        return F.cross_entropy(logits.double(), target, reduction="none")

    _, gradients = input_gradients(classifier, classifier.normalise(batch), {LOGITS: [loss]})
    return gradients[LOGITS][0]
