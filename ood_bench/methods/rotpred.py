"""Rotation prediction: a network that also learned by how much an image is turned."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from ood_bench.data.imageset import Array, ImageSet
from ood_bench.methods.base import Detector, Networks, Quantity, Scorer, Setting, View, at_every
from ood_bench.methods.retrained import retrained
from ood_bench.models.classifier import Classifier
from ood_bench.models.rotation import ROTATION, TURNS
from ood_bench.papers.methods import Source
from ood_bench.scoring.quantities import LOGITS, Flat
from ood_bench.training.spec import TrainingSpec

_TURNED = Quantity(ROTATION, Flat())


@dataclass
class RotPred(Detector):
    """``KL(u | p)``, plus the mean over four rotations r of the image of ``log q_r``.

    p is the softmax over the classes of the image as it is, and u the uniform distribution. q_r is the probability of
    the true rotation for the image turned by r: 0, 90, 180 and 270 degrees. The network is the run's own with a head
    for the rotations (``model.head=rotation``) and the run's recipe but for the loss. OpenOOD's whole recipe is
    ``train=rotpred_resnet18 model.head=rotation``; every method of such a run scores that network.

    Differences: the authors' code and OpenOOD take logarithms to base 2, which ranks alike, of float32 softmax values,
    which become infinite where p is 0. The authors' network also learns shifts of the image, which the score does not
    use.

    Attributes:
        train: changes to the run's recipe, as in ``conf/train``.
    """

    train: dict[str, Any] = field(default_factory=dict)

    needs = ("logits", "networks of its own")
    source = Source(
        title="Using Self-Supervised Learning Can Improve Model Robustness and Uncertainty",
        authors="Hendrycks et al.",
        venue="NeurIPS",
        year=2019,
        arxiv="1906.12340",
        code="github.com/hendrycks/ss-ood",
        licence="MIT",
    )

    def networks(self, networks: Networks) -> list[TrainingSpec]:
        """The run's network with this loss and head."""
        return [retrained(networks.base, "rotpred", self.train, head=ROTATION)]

    def quantities(self, classifier: Classifier) -> Sequence[Quantity]:
        """Logits of the classes and of the rotations for the image as it is; the turned ones go through later."""
        return (LOGITS, _TURNED)

    def raw_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """The score, ``[len(settings), n, 1]``."""
        classes = torch.from_numpy(scorer.rows(view, LOGITS)).log_softmax(dim=1)
        score = -classes.mean(dim=1) - np.log(classes.shape[1])
        for turn in range(TURNS):
            rows = scorer.rows(replace(view, images=turned(view.images, turn)), _TURNED)
            score += torch.from_numpy(rows).log_softmax(dim=1)[:, turn] / TURNS
        return at_every(settings, score.numpy())


def turned(images: ImageSet, turn: int) -> ImageSet:
    """The images turned counter-clockwise by ``turn`` times 90 degrees; a view of their pixels."""
    if turn == 0:
        return images
    key = hashlib.sha256(f"{images.fingerprint} turned {turn}".encode()).hexdigest()
    return replace(images, images=np.rot90(images.images, turn, axes=(2, 3)), fingerprint=key)
