"""Base of methods that score the length of the gradient with respect to all weights of the network."""

from collections.abc import Sequence
from typing import ClassVar

from ood_bench.methods.base import Array, Detector, Scorer, Setting, View, at_every
from ood_bench.scoring.weight_gradients import weight_gradient_norms


class WeightGradientsDetector(Detector):
    """A norm of the gradient of ``-sum_k log p_k`` by all weights. To write: :attr:`norm`."""

    norm: ClassVar[int]
    """Row of :func:`weight_gradient_norms`."""

    temperature: float = 1.0
    """Of the softmax p."""

    needs: ClassVar[tuple[str, ...]] = ("weight gradients",)

    def raw_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """The norm, ``[len(settings), n, 1]``; methods that take the same temperature share the gradients."""
        identity = {
            "method": "weight_gradients-1",
            "network": scorer.classifier.key,
            "view": view.fingerprint,
            "temperature": self.temperature,
            "device": scorer.classifier.device.type,
        }
        norms = scorer.engine.cached(
            "weight_gradients", identity, lambda: weight_gradient_norms(scorer.classifier, view, self.temperature)
        )
        return at_every(settings, norms[self.norm])
