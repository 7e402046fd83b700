"""The protocol of FeatureNorm's released code."""

from dataclasses import dataclass

from ood_bench.protocols.plain import Plain


@dataclass
class FeatureNormProtocol(Plain):
    """All images of both sets, each once, with fixed hyperparameters; metrics by the code's own helper.

    Nothing is tuned and no OOD image is seen before it is scored. What the code does to the images of each OOD set
    (everything squashed to 32x32) is part of the image sets; see ``conf/paper/featurenorm_*.yaml``.

    Source: arXiv 2212.02295, released code of its evaluation.
    """

    convention: str = "featurenorm"

    ranks_paper_scores = True
