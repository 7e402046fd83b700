"""T2FNorm: a classifier that was trained on the directions of its features."""

from dataclasses import dataclass, field
from typing import Any

from ood_bench.methods.base import Networks
from ood_bench.methods.msp import Msp
from ood_bench.methods.retrained import retrained
from ood_bench.papers.methods import Source
from ood_bench.training.spec import TrainingSpec


@dataclass
class T2FNorm(Msp):
    """Maximum softmax probability of ``W f / tau + b``, of a network trained on ``W f / (|f| tau) + b``.

    f are the features that the last layer gets. The network is the run's own with the run's recipe but for the loss, so
    that a run compares both. The authors' whole recipe is ``train=t2fnorm_resnet18`` (with ``model=resnet18``); every
    method of such a run scores that network, whose last layer holds ``W / tau``.

    Differences: the authors' code, which is OpenOOD's, takes the predicted class, and so the ID accuracy, from the
    normalised features. For ImageNet-1k it fine-tunes, and scores without tau.

    Attributes:
        train: changes to the run's recipe, as in ``conf/train``.
    """

    train: dict[str, Any] = field(default_factory=dict)

    source = Source(
        title="T2FNorm: Train-time Feature Normalization for OOD Detection in Image Classification",
        authors="Regmi et al.",
        venue="CVPR Workshops",
        year=2024,
        arxiv="2305.17797",
        code="github.com/sudarshanregmi/T2FNorm",
        licence="MIT",
    )
    needs = ("logits", "networks of its own")

    def networks(self, networks: Networks) -> list[TrainingSpec]:
        """The run's network with this loss."""
        return [retrained(networks.base, "t2fnorm", self.train)]
