"""MDSEns: OpenOOD's Mahalanobis ensemble as its shipped configuration has it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ood_bench.methods.base import Scorer, Steps
from ood_bench.methods.mahalanobis import Mahalanobis
from ood_bench.methods.ranges import Magnitudes
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.perturb import sign
from ood_bench.scoring.taps import named_taps

_STD = 0.5


@dataclass
class MdsEns(Mahalanobis):
    """``max_c -1/2 (f - mu_c)' P (f - mu_c)`` of the first tap's channel means f, after a step on the image.

    As :class:`Mahalanobis`, but for two things in OpenOOD's code: its lists of feature types, reductions and weights
    have one entry each, so that the first map alone is read (the stem's of its CIFAR ResNet); and a step goes down
    ``x - magnitude * sign(grad) / 0.5`` on normalised images, whatever the ID normalisation divides by. Where that is
    0.5 the two are equal. With several taps, confidences are added, weighed by 1 each.

    Differences: from OpenOOD, none but rounding and directions of nearly no variance; see ``mahalanobis``. The first
    tap is the first that the model's config names, which is no stem in ``timm`` and ``torchvision``. pytorch-ood 0.4
    has no such detector: its MultiMahalanobis is of taps and weights that the user chooses.

    Attributes:
        magnitudes: candidates for the step; OpenOOD takes 0.0014 and nothing else.
        taps: names of taps; ``[all]`` for every tap of the model; ``[stages]`` for the ends of its stages; empty for
            the first one.
    """

    magnitudes: Magnitudes = field(default_factory=lambda: [0.0014])

    revision = 1

    def deviations(self) -> list[str]:
        """That it is OpenOOD's."""
        return ["One early map is read, as in OpenOOD; the paper weighs all of them by a regression on OOD images."]

    def tap_names(self, classifier: Classifier) -> Sequence[str]:
        """The taps."""
        return named_taps(classifier, self.taps) or list(classifier.taps)[:1]

    def _tap_steps(self, scorer: Scorer, tap: str, magnitudes: list[float]) -> Steps:
        whole, std = super()._tap_steps(scorer, tap, magnitudes), scorer.classifier.channel_std()
        step = replace(whole.perturbation, rule=lambda gradient: sign(gradient) * std / _STD)
        return replace(
            whole,
            name=f"mdsens {tap}",
            identity={**whole.identity, "method": self.kept_as("mdsens")},
            perturbation=step,
        )
