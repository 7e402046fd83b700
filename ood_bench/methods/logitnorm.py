"""LogitNorm: a classifier that was trained on the directions of its logits."""

from dataclasses import dataclass

from ood_bench.methods.retrained import RetrainedMsp
from ood_bench.papers.methods import Source


@dataclass
class LogitNorm(RetrainedMsp):
    """Maximum softmax probability of the plain logits z of a network trained by cross entropy of ``z / (|z| tau)``.

    The network is the run's own with the run's recipe but for the loss, so that a run compares both. The authors' whole
    recipe is ``train=logitnorm_wrn`` (with ``model=wrn_40_2``), OpenOOD's ``train=logitnorm_resnet18``; every method of
    such a run scores that network.

    Differences: none of the score; the authors' code and OpenOOD take T = 1, too.
    """

    loss = "logitnorm"
    source = Source(
        title="Mitigating Neural Network Overconfidence with Logit Normalization",
        authors="Wei et al.",
        venue="ICML",
        year=2022,
        arxiv="2205.09310",
        code="github.com/hongxin001/logitnorm_ood",
        licence="none stated",
    )
