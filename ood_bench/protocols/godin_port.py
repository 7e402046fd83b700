"""The protocol of generalized ODIN's TensorFlow port."""

from dataclasses import dataclass, replace

from ood_bench.data.imageset import ImageSet
from ood_bench.methods.base import Detector, Scorer
from ood_bench.protocols.base import Outcome
from ood_bench.protocols.godin_paper import GodinPaperProtocol

_ACCURACIES = ("train_accuracy", "id_accuracy")


@dataclass
class GodinPortProtocol(GodinPaperProtocol):
    """As the paper's, with half of the chosen epsilon, means of batch means, and the accuracies as table columns.

    What the port does to images and scores is part of its methods, ``godin_port`` and ``godin_port_baseline``.

    Source: sayakpaul/Generalized-ODIN-TF, notebooks for epsilon and evaluation.
    """

    halve: bool = True
    objective_batch: int = 128

    def run(self, method: str, detector: Detector, scorer: Scorer, id_test: ImageSet, ood: ImageSet) -> Outcome:
        """Chooses a setting, scores the other rows, and adds the accuracies of the network that scores."""
        outcome = super().run(method, detector, scorer, id_test, ood)
        card = scorer.classifier.card
        known = {name: float(card[name]) for name in _ACCURACIES if card.get(name) is not None}
        return replace(outcome, also_measured=known)
