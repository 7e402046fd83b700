"""FSSD: distance, in feature space, from the point to which the network sends noise."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Quantity, Scorer, Setting, Steps, View, at_every
from ood_bench.methods.grid import SteppingDetector
from ood_bench.methods.ranges import Count, Magnitudes
from ood_bench.models.classifier import Classifier
from ood_bench.papers.methods import Source
from ood_bench.scoring.perturb import Perturbation, standardised
from ood_bench.scoring.quantities import Distance
from ood_bench.scoring.taps import full_precision, named_taps, reading


@dataclass
class Fssd(SteppingDetector):
    """Euclidean distance of every unpooled tap to its mean over noise images; large for ID.

    The noise is i.i.d. integers in 0..254, fed as ``(v - 127.5) / 255`` *without* the ID normalisation. With a
    magnitude, each tap gets its own step ``x + epsilon * standardised(grad of minus the batch's mean distance) / std``:
    the gradient is standardised over the whole batch, not reduced to its sign, so that results depend on the batch.

    The default takes no step and weighs the taps without OOD images: each distance is standardised by its mean and
    deviation over the ID training images, then averaged.

    Attributes:
        magnitudes: candidates for epsilon.
        taps: names of taps; ``[all]`` for every tap of the model; ``[stages]`` for the ends of its stages.
        noise_images: number of noise images.
        gradient_batch: images whose gradients are standardised together.
    """

    magnitudes: Magnitudes = field(default_factory=lambda: [0.0])
    taps: list[str] = field(default_factory=lambda: ["all"])
    noise_images: Count = 100
    gradient_batch: Count = 512

    source = Source(
        title="Feature Space Singularity for Out-of-Distribution Detection",
        authors="Huang et al.",
        venue="SafeAI workshop of AAAI",
        year=2021,
        arxiv="2011.14654",
        code="github.com/megvii-research/FSSD_OoD_Detection",
        licence="MIT",
    )
    needs = ("feature maps", "ID training images", "input gradients (for steps)")

    def __post_init__(self) -> None:
        if not self.taps:
            raise ConfigError("method fssd: taps must name one tap or more, or be [all] or [stages]")
        self._centres: dict[str, Distance] = {}
        self._scales: tuple[Array, Array] | None = None

    @property
    def block(self) -> int:
        """The gradient batch, if any step is taken."""
        return self.gradient_batch if any(self.magnitudes) else 1

    def tap_names(self, classifier: Classifier) -> Sequence[str]:
        """The taps."""
        return named_taps(classifier, self.taps)

    def fit(self, scorer: Scorer, random: np.random.RandomState) -> None:
        """Draws the noise from ``random`` and averages every tap over it."""
        classifier = scorer.classifier
        noise = random.randint(0, 255, (self.noise_images, *scorer.train.shape), "uint8")
        x = (torch.from_numpy(noise).to(classifier.device).float() - 127.5) / 255
        kept: dict[str, Distance] = {}

        def reader(tap: str, value: torch.Tensor) -> None:
            kept[tap] = Distance(np.ascontiguousarray(value.mean(dim=0).cpu().numpy()))

        readers = {tap: lambda value, tap=tap: reader(tap, value) for tap in self.tap_names(classifier)}
        with reading(classifier, readers), full_precision(), torch.inference_mode():
            classifier.scoring_network(x)
        self._centres, self._scales = kept, None

    def quantities(self, classifier: Classifier) -> Sequence[Quantity]:
        """Distances of every tap, if some magnitude is 0."""
        return self._distances(classifier) if 0 in self.magnitudes else ()

    def _distances(self, classifier: Classifier) -> list[Quantity]:
        return [Quantity(tap, self._centres[tap]) for tap in self.tap_names(classifier)]

    def raw_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """Distance of every tap, ``[len(settings), n, taps]``."""
        if steps := self.steps(scorer, settings):
            return np.stack([scores[0] for scores in scorer.stepped(view, steps)], axis=2)
        bank = scorer.bank(view, self._distances(scorer.classifier))
        rows = np.concatenate(list(bank.values()), axis=1).astype(np.float64)
        return at_every(settings, rows)

    def steps(self, scorer: Scorer, settings: Sequence[Setting]) -> Sequence[Steps]:
        """Each tap's own steps; none if every magnitude is 0."""
        magnitudes = [setting["epsilon"] for setting in settings]
        if not any(magnitudes):
            return ()
        return [self._tap_steps(quantity, magnitudes) for quantity in self._distances(scorer.classifier)]

    def _tap_steps(self, quantity: Quantity, magnitudes: list[float]) -> Steps:
        step = Perturbation(
            quantity=quantity,
            losses=[lambda rows: -rows[:, 0]],
            scores=[lambda rows: rows[:, 0].double()],
            rule=standardised,
            direction=1.0,
            batch_size=self.gradient_batch,
        )
        identity = {"method": self.kept_as("fssd"), "quantity": quantity.key, "batch": self.gradient_batch}
        return Steps(f"fssd {quantity.tap}", identity, step, magnitudes)

    def calibrate(self, scorer: Scorer, setting: Setting) -> None:
        """Mean and deviation of every tap's distance over the ID training images."""
        rows = self.raw_scores(scorer, View(scorer.train), [setting])[0]
        self._scales = rows.mean(axis=0), rows.std(axis=0)

    def final_scores(self, raw_scores: Array) -> Array:
        """Mean over taps of the distances in units of their ID deviation."""
        if self._scales is None:
            raise ValueError("fssd: calibrate() comes before final_scores()")
        mean, deviation = self._scales
        usable = deviation > 0
        if not usable.any():
            raise ConfigError(
                "method fssd: at no tap does the distance vary over the ID training images",
                "use more than one training image, or other taps",
            )
        return np.asarray(((raw_scores - mean)[:, usable] / deviation[usable]).mean(axis=1))
