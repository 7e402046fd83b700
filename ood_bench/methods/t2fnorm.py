"""T2FNorm: a classifier that was trained on the directions of its features."""

from dataclasses import dataclass

from ood_bench.methods.retrained import RetrainedMsp
from ood_bench.papers.methods import Source


@dataclass
class T2FNorm(RetrainedMsp):
    """Maximum softmax probability of ``W f / tau + b``, of a network trained on ``W f / (|f| tau) + b``.

    f are the features that the last layer gets. The network is the run's own with the run's recipe but for the loss, so
    that a run compares both. The authors' whole recipe is ``train=t2fnorm_resnet18`` (with ``model=resnet18``); every
    method of such a run scores that network, whose last layer holds ``W / tau``.

    Differences: the authors' code, which is OpenOOD's, takes the predicted class, and so the ID accuracy, from the
    normalised features. For ImageNet-1k it fine-tunes, and scores without tau.
    """

    loss = "t2fnorm"
    source = Source(
        title="T2FNorm: Train-time Feature Normalization for OOD Detection in Image Classification",
        authors="Regmi et al.",
        venue="CVPR Workshops",
        year=2024,
        arxiv="2305.17797",
        code="github.com/sudarshanregmi/T2FNorm",
        licence="MIT",
    )
