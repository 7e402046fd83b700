"""The protocol of Outlier Exposure's released code."""

from dataclasses import dataclass, replace

from ood_bench.data.imageset import ImageSet
from ood_bench.methods.base import Detector, Scorer
from ood_bench.protocols.base import Outcome
from ood_bench.protocols.plain import Plain


@dataclass
class OutlierExposureProtocol(Plain):
    """All ID test images, and draws of one OOD image for every five of them; nothing is tuned.

    The draws are the metric convention's: every OOD image is scored once. The log also states each network's accuracy.

    Source: hendrycks/outlier-exposure, CIFAR/test.py with ten draws, of arXiv 1812.04606.
    """

    convention: str = "outlier_exposure"

    ranks_paper_scores = True

    def run(self, method: str, detector: Detector, scorer: Scorer, id_test: ImageSet, ood: ImageSet) -> Outcome:
        """Scores all rows, and adds the accuracy of the network that scores."""
        outcome = super().run(method, detector, scorer, id_test, ood)
        accuracy = float(scorer.classifier.card["id_accuracy"])
        return replace(outcome, also_measured={"id_accuracy": accuracy})
